use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::future::join_all;
use futures_util::{Stream, stream};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::*;
use crate::engine::{EngineError, Filters, Found, Line, Output, Period, Question};

/// An engine that takes its time, with one container of each name.
#[derive(Default)]
struct Slow {
    takes: Duration,
    asked: AtomicUsize,
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Look for Slow {
    async fn look(&self, question: &Question) -> Result<Value, EngineError> {
        match question {
            Question::List { filters, .. } => {
                let labels: serde_json::Map<String, Value> = filters["label"]
                    .iter()
                    .filter_map(|label| label.split_once('='))
                    .map(|(key, value)| (key.to_owned(), value.into()))
                    .collect();
                Ok(json!([{"Id": "1".repeat(64), "Names": ["/web"], "Labels": labels}]))
            }
            Question::Usage(_) => {
                self.asked.fetch_add(1, Ordering::Relaxed);
                let now = self.now.fetch_add(1, Ordering::Relaxed) + 1;
                self.most.fetch_max(now, Ordering::Relaxed);
                sleep(self.takes).await;
                self.now.fetch_sub(1, Ordering::Relaxed);
                Ok(json!({"pids_stats": {"current": 3}}))
            }
            _ => Ok(json!({"State": {"Running": true}})),
        }
    }

    fn happenings(&self, _: &Period, _: &Filters) -> impl Stream<Item = Result<Value, EngineError>> + Send {
        stream::empty()
    }

    fn output(&self, _: &Found, _: &Output) -> impl Stream<Item = Result<Line, EngineError>> + Send {
        stream::iter([Ok(Line { is_error: false, time: String::new(), bytes: b"hello".to_vec() })])
    }

    fn archive(&self, _: &Found, _: &str) -> impl Stream<Item = Result<Vec<u8>, EngineError>> + Send {
        stream::empty()
    }
}

/// What those see who ask for these containers at once, and how long it took.
async fn seen(engine: &Slow, names: &[String]) -> (Vec<Arc<Glance>>, Duration) {
    let (glances, mut asks) = channel();
    let (owner, begun) = ("exam".parse().unwrap(), Instant::now());
    let names: Vec<Name> = names.iter().map(|name| name.parse().unwrap()).collect();
    let asking = join_all(names.iter().map(|name| glances.of(name)));
    tokio::select! {
        seen = asking => (seen, begun.elapsed()),
        never = asks.answer(engine, &owner) => match never {},
    }
}

fn seats(count: usize) -> Vec<String> {
    (0..count).map(|seat| format!("seat-{seat}")).collect()
}

#[tokio::test(start_paused = true)]
async fn fifty_who_look_at_one_container_cost_one_look() {
    let engine = Slow { takes: Duration::from_secs(1), ..Slow::default() };
    let (seen, _) = seen(&engine, &vec!["web".to_owned(); 50]).await;
    assert_eq!(engine.asked.load(Ordering::Relaxed), 1);
    assert!(seen.iter().all(|glance| Arc::ptr_eq(glance, &seen[0])));
    assert_eq!(seen[0].output[0].text, "hello");
    assert_eq!(seen[0].usage.as_ref().unwrap().processes, 3);
}

#[tokio::test(start_paused = true)]
async fn however_many_look_and_however_slow_the_engine_is_few_looks_are_taken_and_nobody_waits_long() {
    let engine = Slow { takes: Duration::from_hours(1), ..Slow::default() };
    let (seen, took) = seen(&engine, &seats(200)).await;
    assert!(took <= PATIENCE, "{took:?}");
    assert_eq!(engine.most.load(Ordering::Relaxed), AT_ONCE);
    let count = |trouble: &Trouble| {
        seen.iter().filter(|glance| glance.usage_trouble.as_ref() == Some(trouble)).count()
    };
    assert_eq!((count(&Trouble::NotInTime), count(&Trouble::TooMany)), (WAITING, 200 - WAITING));
    // What is known is told.
    let told = seen.iter().filter(|glance| !glance.output.is_empty()).count();
    assert!(told <= AT_ONCE, "{told}");
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_and_asks_again_waits_for_the_same_look_and_a_moment_later_it_is_another() {
    let engine = Slow { takes: Duration::from_secs(2), ..Slow::default() };
    let (glances, mut asks) = channel();
    let (owner, name) = ("exam".parse().unwrap(), "web".parse().unwrap());
    let looking = async {
        assert!(tokio::time::timeout(Duration::from_secs(1), glances.of(&name)).await.is_err());
        let first = glances.of(&name).await;
        sleep(FRESH / 2).await;
        assert!(Arc::ptr_eq(&first, &glances.of(&name).await));
        assert_eq!(engine.asked.load(Ordering::Relaxed), 1);
        sleep(FRESH).await;
        assert!(!Arc::ptr_eq(&first, &glances.of(&name).await));
        assert_eq!(engine.asked.load(Ordering::Relaxed), 2);
    };
    let mut looking = pin!(looking);
    tokio::select! {
        () = &mut looking => {}
        never = asks.answer(&engine, &owner) => match never {},
    }
}

#[tokio::test]
async fn where_nobody_answers_nobody_waits() {
    let (glances, _) = channel();
    let begun = Instant::now();
    let glance = glances.of(&"web".parse().unwrap()).await;
    assert_eq!(glance.output_trouble, Some(Trouble::TooMany));
    assert!(begun.elapsed() < PATIENCE / 2);
}
