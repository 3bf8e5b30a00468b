use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;

use super::*;
use crate::daemon::notification::notice::Sender;
use crate::daemon::wake::channel;

/// A target that refuses what it is told to.
#[derive(Debug, Default)]
struct Fake {
    /// How many tries fail from now on.
    fails: AtomicUsize,
    /// Whether what fails is refused for ever.
    for_ever: bool,
    /// Whether it never answers.
    hangs: bool,
    taken: Mutex<Vec<(u64, String)>>,
    tried: Mutex<Vec<u64>>,
}

impl Takes for Fake {
    fn name(&self) -> &'static str {
        "webhook"
    }

    async fn take(&self, message: &Message) -> Result<(), Undelivered> {
        let time = Instant::now().elapsed_since_start();
        self.tried.lock().unwrap().push(time);
        if self.hangs {
            return std::future::pending().await;
        }
        let left = self.fails.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        match (left, self.for_ever) {
            (Ok(_), false) => Err(Undelivered::for_now("it is away")),
            (Ok(_), true) => Err(Undelivered::for_ever("it refuses")),
            (Err(_), _) => {
                self.taken.lock().unwrap().push((time, message.title.clone()));
                Ok(())
            }
        }
    }
}

trait SinceStart {
    fn elapsed_since_start(self) -> u64;
}

thread_local! {
    static START: Instant = Instant::now();
}

impl SinceStart for Instant {
    fn elapsed_since_start(self) -> u64 {
        START.with(|start| self.saturating_duration_since(*start).as_secs())
    }
}

fn message(title: &str) -> Arc<Message> {
    let sender = Sender { host: title.to_owned(), owner: "exam".to_owned() };
    Arc::new(Message::test(&sender, Timestamp::UNIX_EPOCH))
}

fn board() -> Board {
    let (_, wakes) = channel();
    Board::new(&"exam".parse().unwrap(), &wakes, None)
}

fn counted(board: &Board) -> [u64; 3] {
    let tally = board.tally();
    Sent::ALL.map(|sent| tally.notifications.get(&("webhook", sent)).copied().unwrap_or_default())
}

/// Empties an outbox for a while.
async fn for_a_while(outbox: &Outbox, fake: &Fake, board: &Board, time: Duration) {
    START.with(|_| ());
    let _ = timeout(time, outbox.empty(fake, board)).await;
}

#[tokio::test(start_paused = true)]
async fn what_does_not_arrive_is_sent_again_after_growing_waits_and_in_its_order() {
    let (outbox, board) = (Outbox::default(), board());
    let fake = Fake { fails: 6.into(), ..Fake::default() };
    for title in ["a", "b"] {
        assert!(!outbox.put(message(title)));
    }
    for_a_while(&outbox, &fake, &board, Duration::from_hours(1)).await;
    let titles: Vec<String> = fake.taken.lock().unwrap().iter().map(|(_, title)| title.clone()).collect();
    assert_eq!(titles, ["a: a test of notifications", "b: a test of notifications"]);
    let tried = fake.tried.lock().unwrap().clone();
    // 2, 4, 8, ... seconds after each other, a fifth more or less.
    for (tries, pair) in tried[..7].windows(2).enumerate() {
        let (wait, waited) = (2_u64 << tries, pair[1] - pair[0]);
        assert!((wait * 8 / 10 - 1..=wait * 12 / 10 + 1).contains(&waited), "{tried:?}");
    }
    assert_eq!(counted(&board), [2, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_ever_is_given_up_and_so_is_what_is_news_no_more() {
    let (outbox, board) = (Outbox::default(), board());
    let fake = Fake { fails: 1.into(), for_ever: true, ..Fake::default() };
    outbox.put(message("a"));
    outbox.put(message("b"));
    for_a_while(&outbox, &fake, &board, Duration::from_mins(1)).await;
    assert_eq!((fake.tried.lock().unwrap().len(), counted(&board)), (2, [1, 1, 0]));

    let fake = Fake { fails: usize::MAX.into(), ..Fake::default() };
    // A day is a day for all that waits, not one after the other.
    outbox.put(message("c"));
    outbox.put(message("d"));
    for_a_while(&outbox, &fake, &board, Duration::from_hours(25)).await;
    assert_eq!(counted(&board), [1, 3, 0]);
    let tries = fake.tried.lock().unwrap().len();
    assert!((130..200).contains(&tries), "{tries}");
}

#[tokio::test(start_paused = true)]
async fn a_target_that_never_answers_is_given_up_on_and_what_waits_for_it_is_bounded() {
    let (outbox, board) = (Outbox::default(), board());
    let fake = Fake { hangs: true, ..Fake::default() };
    let dropped = (0..WAITING_MAX + 50).filter(|number| outbox.put(message(&number.to_string()))).count();
    assert_eq!(dropped, 50);
    assert_eq!(outbox.lock().len(), WAITING_MAX);
    assert_eq!(outbox.lock()[0].message.title, "50: a test of notifications", "the oldest went");
    for_a_while(&outbox, &fake, &board, Duration::from_mins(10)).await;
    let tries = fake.tried.lock().unwrap().len();
    assert!((3..6).contains(&tries), "{tries}");
}
