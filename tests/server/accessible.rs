//! That nothing on the page keeps out people who don't see it, or see it badly, or use no mouse.

use std::{env, fs, path::PathBuf};

use aegis::testing::skip;
use serde_json::{Value, json};

use crate::{
    browser::Browser,
    page::{plan, says},
    process::{Place, Server, Store},
};

/// What looks for barriers, put where `scripts/setup.sh axe` puts it.
fn axe() -> Option<String> {
    let cache = env::var_os("AEGIS_CACHE").map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cache/aegis")))?;
    fs::read_to_string(cache.join("axe.min.js")).ok()
}

/// Every rule that the page breaks as it stands, with the elements that do.
const BARRIERS: &str = "
  axe.run(document, { resultTypes: ['violations'] }).then(({ violations }) =>
    violations.map(({ id, help, nodes }) => ({ id, help, elements: nodes.map((node) => node.html) })))
";

/// Looks at the page as it stands, in both colours and on a narrow screen.
fn assert_open_to_all(browser: &mut Browser, state: &str) {
    for (colours, width) in [("light", 1400), ("dark", 1400), ("dark", 390)] {
        browser.look(colours, width);
        browser.keep_picture(&format!("{state}-{colours}-{width}"));
        let barriers = browser.run(BARRIERS);
        assert_eq!(barriers, json!([]), "{state}, {colours}, {width} wide: {barriers:#}");
    }
}

/// Something of everything that the page can show: two policies, one of which can't be kept, backups
/// that ended in each way, and a restore that waits.
async fn fill(place: &Place, server: &Server) {
    for (name, namespace) in [("documents-hourly", "documents"), ("ghosts-hourly", "ghosts")] {
        let policy = json!({
            "name": name, "cluster": "local", "namespaces": [namespace], "schedule": "0 * * * *",
            "retention_days": 30, "rpo_hours": 24, "rto_hours": 4,
        });
        let (status, made) = server.post("/api/v1/dr/policies", policy).await;
        assert_eq!(status, 201, "{made}");
        let run = format!("/api/v1/dr/policies/{}/run", made["policy"]["id"].as_str().unwrap());
        let (_, job) = server.post(&run, Value::Null).await;
        let job = format!("/api/v1/backups/jobs/{}", job["job"]["id"].as_str().unwrap());
        server.ended(&job, "/job/status").await;
    }
    plan(place, server).await;
}

#[tokio::test]
async fn nothing_on_the_page_is_a_barrier_in_light_dark_or_on_a_narrow_screen() {
    let test = "nothing_on_the_page_is_a_barrier_in_light_dark_or_on_a_narrow_screen";
    let Some(axe) = axe() else { return skip(test, "no axe: run scripts/setup.sh axe") };
    let Some(mut browser) = Browser::start(test) else { return };
    let place = Place::new(Store::Sqlite);
    let server =
        Server::start(place.command(&["--protect", "documents=documents", "--protect", "ghosts=nowhere"]));
    browser.before_each_page(&axe);
    browser.go(&server.url);
    browser.until(&says("none", "There is no policy yet"));
    browser.until(&says("link", "live"));
    assert_open_to_all(&mut browser, "empty");

    fill(&place, &server).await;
    browser.until(
        "document.querySelector('#failures li') !== null && document.querySelector('#plans li') !== null",
    );
    browser.tab_to("[role=listbox]");
    browser.press("ArrowDown");
    browser.until("document.querySelector('[data-key^=restore-]') !== null");
    assert_open_to_all(&mut browser, "policy");

    browser.run("document.getElementById('sign-in').click()");
    browser.until("document.querySelector('#dialog input[type=password]') !== null");
    assert_open_to_all(&mut browser, "token");
    browser.run("document.getElementById('dialog-close').click()");

    browser.run("document.querySelector('[data-key^=restore-]').click()");
    browser.until("document.querySelector('#dialog .mapping') !== null");
    assert_open_to_all(&mut browser, "restore");
    browser.run("document.getElementById('dialog-close').click()");

    browser.run("document.querySelector('[data-key^=plan-]').click()");
    browser.until("document.querySelector('[data-key=preview]') !== null");
    browser.run("document.querySelector('[data-key=preview]').click()");
    browser.until("document.querySelector('[data-key=examples]') !== null");
    assert_open_to_all(&mut browser, "plan");
}
