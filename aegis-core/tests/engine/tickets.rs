//! Tickets: in once, and not for long.

use std::time::Duration;

use aegis_core::seams::ErrorClass;

use crate::world::{World, tenant};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_ticket_lets_its_tenant_in_once_on_whichever_engine() {
    let world = World::new();
    let (here, there) = (world.engine(), world.other_engine());
    tenant(&here).issue_ticket("abc", MINUTE).await.unwrap();
    assert_eq!(there.redeem_ticket("abd").await.unwrap(), None);
    assert_eq!(there.redeem_ticket("abc").await.unwrap().as_ref(), Some(tenant(&here).id()));
    assert_eq!(here.redeem_ticket("abc").await.unwrap(), None);
}

#[tokio::test]
async fn a_ticket_that_is_over_lets_nobody_in() {
    let world = World::new();
    let aegis = world.engine();
    let until = tenant(&aegis).issue_ticket("abc", MINUTE).await.unwrap();
    world.clock.advance(MINUTE);
    assert_eq!(tenant(&aegis).now(), until);
    assert_eq!(aegis.redeem_ticket("abc").await.unwrap(), None);
}

#[tokio::test]
async fn two_tickets_have_two_hashes() {
    let world = World::new();
    let aegis = world.engine();
    tenant(&aegis).issue_ticket("abc", MINUTE).await.unwrap();
    let error = tenant(&aegis).issue_ticket("abc", MINUTE).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::AlreadyExists);
}
