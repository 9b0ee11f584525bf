use std::{collections::BTreeMap, path::Path};

use super::*;
use crate::{
    cli::Flags,
    config::{load::parse, section::Mistakes},
};

/// What is wrong with a configuration, named `aegis.toml`.
fn mistakes(text: &str, flags: &Flags, environment: &[(&str, &str)]) -> Vec<String> {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let look_up = |name: &str| environment.get(name).map(ToString::to_string);
    let mistakes = Mistakes::default();
    let (config, _) = parse(Some(Path::new("aegis.toml")), text, flags, &look_up, &mistakes);
    let told = mistakes.into_texts();
    assert!(config.is_some() || !told.is_empty(), "refused without a word");
    told
}

fn read(text: &str, flags: &Flags, environment: &[(&str, &str)]) -> Config {
    let environment: BTreeMap<&str, &str> = environment.iter().copied().collect();
    let look_up = |name: &str| environment.get(name).map(ToString::to_string);
    let mistakes = Mistakes::default();
    let (config, _) = parse(Some(Path::new("/etc/aegis/aegis.toml")), text, flags, &look_up, &mistakes);
    assert_eq!(mistakes.into_texts(), [""; 0]);
    config.unwrap()
}

const HASH: &str = "0000000000000000000000000000000000000000000000000000000000000000";

#[test]
fn each_mistake_names_its_file_line_and_key_and_the_mend() {
    let cases: &[(&str, &str, &str)] = &[
        ("listen = \"8082\"", "aegis.toml:1: listen: `8082` can't be listened on", "127.0.0.1:8082"),
        ("listen = 8082", "aegis.toml:1: listen: write a text in quotes, not integer", ""),
        ("listen = \"0.0.0.0:8082\"", "aegis.toml:1: listen: without tokens", "server token new"),
        ("\nlistn = \"x\"", "aegis.toml:2: listn: there is no such key", "use one of auth, clusters"),
        ("[store]\nurl = \"mysql://db\"", "aegis.toml:2: store.url: this is no store", "postgres://"),
        (
            "[store]\nurl = \"postgres://a:hush@db/aegis\"",
            "aegis.toml:2: store.url: a password",
            "PGPASSWORD",
        ),
        ("[store]\nurl = \"sqlite:\"", "aegis.toml:2: store.url: name the file", "sqlite:///"),
        (
            "[store]\nurl = \"memory:\"\nurl_file = \"/dev/null\"",
            "aegis.toml:3: store.url_file: it is empty",
            "",
        ),
        (
            "[store]\nurl_env = \"NO_SUCH\"",
            "aegis.toml:2: store.url_env: the environment variable NO_SUCH",
            "set it",
        ),
        ("[store]\nconnections = 0", "aegis.toml:2: store.connections: write a whole number from 1", ""),
        ("store = 1", "aegis.toml:1: store: write a section: [store], not integer", ""),
        (
            "[clusters.a]\ndriver = \"velero\"",
            "aegis.toml:1: [clusters.a]: driver = \"velero\"",
            "take the section out",
        ),
        (
            "[clusters.a]\ndriver = \"rsync\"",
            "aegis.toml:1: [clusters.a]: there is no driver `rsync`",
            "\"files\"",
        ),
        ("[clusters.a]", "aegis.toml:1: [clusters.a]: the cluster has no driver", "driver = \"files\""),
        ("[clusters.\"a b\"]\ndriver = \"files\"", "aegis.toml:1: [clusters.a b]: ", ""),
        (
            "[clusters.a]\ndriver = \"files\"\nroots = []",
            "aegis.toml:3: clusters.a.roots: there is no such key",
            "restore_roots",
        ),
        (
            "[clusters.a]\ndriver = \"files\"\n[clusters.a.namespaces]\ndocs = \"/srv\"",
            "aegis.toml:4: clusters.a.namespaces.docs: write texts in brackets",
            "",
        ),
        (
            "[clusters.a]\ndriver = \"files\"\n[clusters.a.excludes]\ndocs = [\"*.tmp\"]",
            "aegis.toml:4: clusters.a.excludes.docs: there is no namespace of this name",
            "",
        ),
        (
            "[clusters.a]\ndriver = \"files\"\ntenants = []",
            "aegis.toml:1: [clusters.a]: it belongs to no tenant",
            "",
        ),
        ("[storage.a]", "aegis.toml:1: [storage.a]: the location has no url", "s3://"),
        (
            "[storage.a]\nurl = \"/srv\"",
            "aegis.toml:2: storage.a.url: the storage location must begin",
            "file://",
        ),
        (
            "[storage.a]\nurl = \"s3://bucket/\"\naccess_key_id = \"me\"",
            "aegis.toml:1: [storage.a]: access_key_id goes with",
            "secret_access_key_file",
        ),
        (
            "[storage.a]\nurl = \"gs://bucket/\"\naccount = \"me\"\naccount_key_env = \"KEY\"",
            "aegis.toml:1: [storage.a]: a location of the kind gcs takes other credentials",
            "",
        ),
        (
            "[storage.a]\nurl = \"s3://bucket/\"\nsecret_access_key = \"hush\"",
            "aegis.toml:3: storage.a.secret_access_key: there is no such key",
            "secret_access_key_file",
        ),
        (
            "[storage.a]\nurl = \"s3://bucket/\"\npassword_env = \"A\"\npassword_file = \"b\"",
            "aegis.toml:3: storage.a.password_env: name password_file or password_env",
            "not both",
        ),
        ("[tenants.a]\napproval = \"three\"", "aegis.toml:2: tenants.a.approval: `three` is none of", "two"),
        ("[tenants.a]\nlimits = \"few\"", "aegis.toml:2: tenants.a.limits: `few` is none of", "interactive"),
        ("[metrics]", "aegis.toml:1: [metrics]: write token_file or token_env", ""),
        ("[metrics]\ntoken_env = \"SHORT\"", "aegis.toml:1: [metrics]: the token is shorter", "16"),
        ("[metrics]\ntoken = \"hush\"", "aegis.toml:2: metrics.token: there is no such key", "token_file"),
        (
            "[[auth.tokens]]\nsha256 = \"hush\"",
            "aegis.toml:2: auth.tokens.sha256: a token is configured",
            "SHA-256",
        ),
        (
            "[[auth.tokens]]\nname = \"a\"",
            "aegis.toml:1: [auth.tokens]: sha256 is missing",
            "server token new",
        ),
        (
            "[[auth.tokens]]\nroles = [\"root\"]",
            "aegis.toml:2: auth.tokens.roles: `root` is no role",
            "viewer",
        ),
        ("[auth]\ntokens = 1", "aegis.toml:2: auth.tokens: write sections: [[auth.tokens]]", ""),
        ("[tls]\ncertificate = \"a.pem\"", "aegis.toml:1: [tls]: write both", "key = "),
        (
            "[webhooks.a]\nurl = \"https://x/\"",
            "aegis.toml:1: [webhooks.a]: the webhook has no secret",
            "secret_file",
        ),
        (
            "[webhooks.a]\nurl = \"ftp://x/\"\nsecret_env = \"KEY\"",
            "aegis.toml:1: [webhooks.a]: this is no address of a webhook",
            "https://",
        ),
        (
            "[webhooks.a]\nurl = \"https://x/\"\nsecret_env = \"SHORT\"",
            "aegis.toml:1: [webhooks.a]: the webhook's secret is shorter",
            "16",
        ),
        (
            "[webhooks.a]\nevents = [\"job.done\"]",
            "aegis.toml:2: webhooks.a.events: `job.done` names no",
            "job.*",
        ),
        ("[webhooks.a]", "aegis.toml:1: [webhooks.a]: url is missing", "url = "),
        (
            "[webhooks.a]\nurl = \"http://x/\"\nsecret_env = \"KEY\"",
            "aegis.toml:1: [webhooks.a]: the webhook's url is not encrypted",
            "allow_private",
        ),
        ("[tenants.defualt]", "aegis.toml: [tenants.defualt]: ", "in the tenants of a cluster"),
        ("[log]\nformat = \"xml\"", "aegis.toml:2: log.format: `xml` is none of human, json", ""),
        ("[log]\nlevel = \"aegis_http=loud\"", "aegis.toml:2: log.level: ", ""),
        ("[http]\nmax_body_bytes = true", "aegis.toml:2: http.max_body_bytes: write a whole number", ""),
        ("listen = ", "aegis.toml:1: ", ""),
        ("a = 1\na = 2", "aegis.toml:2: ", ""),
    ];
    for (text, names, mend) in cases {
        let told = mistakes(text, &Flags::default(), &[("KEY", "a long random key"), ("SHORT", "short")]);
        assert!(told.iter().any(|told| told.starts_with(names) && told.contains(mend)), "{text}\n{told:#?}");
        assert!(!told.iter().any(|told| told.contains("hush")), "{text}\n{told:#?}");
    }
}

#[test]
fn every_mistake_is_told_at_once() {
    let told = mistakes("listn = 1\n[log]\nformat = \"xml\"\n[storage.a]", &Flags::default(), &[]);
    assert_eq!(told.len(), 3, "{told:#?}");
}

#[test]
fn a_token_of_a_tenant_that_has_nothing_is_refused() {
    let text =
        format!("[[auth.tokens]]\nname = \"ops\"\nsha256 = \"{HASH}\"\ntenant = \"x\"\nroles = [\"viewer\"]");
    let told = mistakes(&text, &Flags::default(), &[]);
    assert!(told.concat().contains("the tenant `x`, which has nothing here"), "{told:?}");
}

#[test]
fn a_flag_that_is_wrong_is_named() {
    for (flags, names) in [
        (Flags { listen: Some("x".into()), ..Flags::default() }, "--listen: `x`"),
        (Flags { listen: Some("0.0.0.0:1".into()), ..Flags::default() }, "--listen: without tokens"),
        (Flags { store: Some("x:".into()), ..Flags::default() }, "--store: this is no store"),
        (Flags { store: Some("postgres://a:b@c/d".into()), ..Flags::default() }, "--store: a password"),
        (Flags { protect: vec![("a\nb".into(), "/c".into())], ..Flags::default() }, "--protect a\nb=/c: "),
    ] {
        let told = mistakes("", &flags, &[]);
        assert!(told.iter().any(|told| told.starts_with(names)), "{flags:?} {told:?}");
    }
}

#[test]
fn nothing_said_means_loopback_sqlite_and_a_local_repository() {
    let flags = Flags { data_dir: Some("/var/aegis".into()), ..Flags::default() };
    let config = read("", &flags, &[]);
    assert_eq!(config.listen.to_string(), "127.0.0.1:8082");
    assert!(matches!(config.store, StoreChoice::Sqlite(None)));
    assert_eq!(config.storage["repository"].uri.to_string(), "file:///var/aegis/backups/");
    let (name, local) = config.clusters.first_key_value().unwrap();
    assert_eq!(name.as_str(), "local");
    assert_eq!(local.restore_roots, [PathBuf::from("/var/aegis/restores")]);
}

#[test]
fn the_command_line_goes_before_the_environment_and_that_before_the_file() {
    let text = "listen = \"127.0.0.1:1\"\n[log]\nformat = \"json\"";
    let environment = [("AEGIS_LISTEN", "127.0.0.1:2"), ("AEGIS_LOG_FORMAT", "human")];
    let flags = Flags { listen: Some("127.0.0.1:3".into()), ..Flags::default() };
    assert_eq!(read(text, &Flags::default(), &[]).listen.port(), 1);
    let overridden = read(text, &Flags::default(), &environment);
    assert_eq!((overridden.listen.port(), overridden.log.format), (2, LogFormat::Human));
    assert_eq!(read(text, &flags, &environment).listen.port(), 3);
}

#[test]
fn the_environment_may_hold_what_the_file_may_not() {
    let environment = [("AEGIS_STORE_URL", "postgres://aegis:hush@db/aegis")];
    assert!(matches!(read("", &Flags::default(), &environment).store, StoreChoice::Postgres(_)));
}

#[test]
fn paths_are_relative_to_the_file_that_names_them() {
    let text = "[clusters.a]\ndriver = \"files\"\nrestore_roots = [\"out\"]\n[clusters.a.namespaces]\nb = [\"c\", \"/d\"]";
    let config = read(text, &Flags::default(), &[]);
    let (_, cluster) = config.clusters.first_key_value().unwrap();
    let (_, namespace) = cluster.namespaces.first_key_value().unwrap();
    assert_eq!(namespace.paths, [PathBuf::from("/etc/aegis/c"), PathBuf::from("/d")]);
    assert_eq!(cluster.restore_roots, [PathBuf::from("/etc/aegis/out")]);
}

#[test]
fn a_key_of_a_named_section_can_be_overridden_too() {
    let text = "[storage.prod-eu]\nurl = \"s3://bucket/\"";
    let config = read(text, &Flags::default(), &[("AEGIS_STORAGE_PROD_EU_ENDPOINT", "http://localhost:1")]);
    assert_eq!(config.storage["prod-eu"].options.endpoint.as_deref(), Some("http://localhost:1"));
}

#[test]
fn a_token_has_the_greatest_of_its_roles() {
    let text =
        format!("[[auth.tokens]]\nname = \"a\"\nsha256 = \"{HASH}\"\nroles = [\"operator\", \"viewer\"]");
    let config = read(&text, &Flags::default(), &[]);
    assert_eq!(config.tokens[0].identity.role, aegis::http::Role::Operator);
}

/// A section of each kind, so that each is read.
const ALL_SECTIONS: &str = "
[clusters.a]
driver = \"files\"
[clusters.a.namespaces]
[clusters.a.excludes]
[storage.a]
url = \"s3://bucket/\"
[tenants.default]
[[auth.tokens]]
[webhooks.a]
";

#[test]
fn the_documentation_has_every_key_and_no_other() {
    let mistakes = Mistakes::default();
    let (_, read) = parse(None, ALL_SECTIONS, &Flags::default(), &|_| None, &mistakes);
    let documented = include_str!("../../../docs/configuration.md");
    let rows = documented.lines().skip_while(|line| *line != "## Every key");
    let keys = rows.filter_map(|row| row.strip_prefix("| `")?.split_once('`'));
    let documented: std::collections::BTreeSet<_> = keys.map(|(key, _)| key.to_owned()).collect();
    assert_eq!(read, documented);
}

#[test]
fn the_whole_file_of_the_documentation_is_valid() {
    let documented = include_str!("../../../docs/configuration.md");
    let file = documented.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let environment = [("PAGER_SECRET", "a long random secret"), ("METRICS_TOKEN", "a long random token")];
    let told = mistakes(file, &Flags::default(), &environment);
    assert_eq!(told, [""; 0]);
}

#[test]
fn the_committed_configuration_of_the_reference_is_valid() {
    assert_eq!(mistakes(include_str!("../reference.toml"), &Flags::default(), &[]), [""; 0]);
}
