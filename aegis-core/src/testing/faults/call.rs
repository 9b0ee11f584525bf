//! How one call goes through a plan.

use std::{
    any::Any,
    collections::HashMap,
    fmt,
    future::Future,
    sync::{Mutex, PoisonError},
};

use super::plan::{Fault, FaultPlan, FaultPoint, Verdict};
use crate::seams::Source;

/// The ways in which a wrapper answers for what it wraps.
pub(super) trait Faulty: Sync {
    type Error: Send;

    fn plan(&self) -> &FaultPlan;

    /// What earlier reads answered.
    fn answers(&self) -> &Answers;

    /// It did not happen.
    fn unavailable(&self, point: FaultPoint, why: &'static str) -> Self::Error;

    /// It may have happened.
    fn indeterminate(&self, point: FaultPoint) -> Self::Error;
}

/// The last answer to each read.
#[derive(Default)]
pub(super) struct Answers(Mutex<HashMap<String, Box<dyn Any + Send>>>);

impl Answers {
    fn last<T: Clone + 'static>(&self, question: &str) -> Option<T> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers.get(question)?.downcast_ref().cloned()
    }

    fn note<T: Clone + Send + 'static>(&self, question: String, answer: T) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(question, Box::new(answer));
    }
}

impl fmt::Debug for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answers")
    }
}

/// Makes a call that changes something, as the plan says.
pub(super) async fn change<W, T, F>(
    wrapper: &W,
    point: FaultPoint,
    call: impl Fn() -> F + Send + Sync,
) -> Result<T, W::Error>
where
    W: Faulty,
    T: Send,
    F: Future<Output = Result<T, W::Error>> + Send,
{
    let plan = wrapper.plan();
    match plan.judge(point) {
        Verdict::Dead => Err(wrapper.unavailable(point, DEAD)),
        Verdict::Go | Verdict::Fault(Fault::Stale) => heard(wrapper, point, call().await),
        Verdict::Fault(Fault::Refuse) => Err(wrapper.unavailable(point, INJECTED)),
        Verdict::Fault(Fault::Delay(by)) => {
            plan.clock.sleep(by).await;
            if plan.is_dead() {
                return Err(wrapper.unavailable(point, DEAD));
            }
            heard(wrapper, point, call().await)
        }
        Verdict::Fault(Fault::Duplicate) => {
            let first = heard(wrapper, point, call().await)?;
            if call().await.is_ok() && !plan.took_effect(point) {
                return Err(wrapper.unavailable(point, DEAD));
            }
            Ok(first)
        }
        Verdict::Fault(fault @ (Fault::LoseAnswer | Fault::Lie)) => {
            heard(wrapper, point, call().await)?;
            Err(if fault == Fault::Lie {
                wrapper.unavailable(point, INJECTED)
            } else {
                wrapper.indeterminate(point)
            })
        }
    }
}

/// Makes a call that only asks, as the plan says; `question` tells it from others.
pub(super) async fn ask<W, T, F>(
    wrapper: &W,
    point: FaultPoint,
    question: impl FnOnce() -> String + Send,
    call: impl Fn() -> F + Send + Sync,
) -> Result<T, W::Error>
where
    W: Faulty,
    T: Clone + Send + 'static,
    F: Future<Output = Result<T, W::Error>> + Send,
{
    let plan = wrapper.plan();
    let question = plan.may_be_stale().then(question);
    let fault = match plan.judge(point) {
        Verdict::Dead => return Err(wrapper.unavailable(point, DEAD)),
        Verdict::Go => None,
        Verdict::Fault(fault) => Some(fault),
    };
    match fault {
        None => {}
        Some(Fault::Refuse) => return Err(wrapper.unavailable(point, INJECTED)),
        Some(Fault::LoseAnswer | Fault::Lie) => {
            drop(call().await?);
            return Err(wrapper.unavailable(point, INJECTED));
        }
        Some(Fault::Delay(by)) => plan.clock.sleep(by).await,
        Some(Fault::Duplicate) => drop(call().await?),
        Some(Fault::Stale) => {
            if let Some(last) = question.as_deref().and_then(|question| wrapper.answers().last(question)) {
                return Ok(last);
            }
        }
    }
    if plan.is_dead() {
        return Err(wrapper.unavailable(point, DEAD));
    }
    let answer = call().await?;
    if let Some(question) = question {
        wrapper.answers().note(question, answer.clone());
    }
    Ok(answer)
}

/// The answer, unless the process died of it.
fn heard<W: Faulty, T>(wrapper: &W, point: FaultPoint, answer: Result<T, W::Error>) -> Result<T, W::Error> {
    if answer.is_ok() && !wrapper.plan().took_effect(point) {
        return Err(wrapper.unavailable(point, DEAD));
    }
    answer
}

const DEAD: &str = "the process is dead";
const INJECTED: &str = "a fault was injected";

/// The cause of an injected error.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Injected(&'static str);

/// The cause of an error that says `why`.
pub(super) fn cause(why: &'static str) -> Source {
    Box::new(Injected(why))
}
