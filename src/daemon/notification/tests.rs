use super::*;
use crate::daemon::wake::channel;

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_whoever_is_told_and_a_flood_is_one_message() {
    let (_bell, wakes) = channel();
    let board = Arc::new(Board::new(&"exam".parse().unwrap(), &wakes, None));
    let (heard, hearing) = mpsc::channel(UNHEARD_MAX);
    let outbox = Arc::new(Outbox::default());
    let mut tasks = JoinSet::new();
    let outboxes = vec![("webhook", Arc::clone(&outbox))];
    tasks.spawn(follow(Ledger::new(Terms::default()), Arc::clone(&board), hearing, outboxes));
    let room = heard.clone();
    board.hears_by(heard);
    let begun = Instant::now();
    for number in 0..10_000 {
        board.interference(&"container/web".parse().unwrap(), &format!("exec {number}"));
        board.trouble(&format!("no engine answers {number}"));
    }
    // Nobody has listened yet, and there was room for a few.
    assert_eq!((room.capacity(), room.max_capacity()), (0, UNHEARD_MAX));
    let message = outbox.next().await.message;
    assert_eq!(begun.elapsed().as_secs(), DEFAULT_GATHER.as_secs());
    let lines: Vec<&str> = message.text.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:#?}");
    assert_eq!(lines[0], "not everything can be looked at: no engine answers 9999");
    let one_by_one = |line: &&str| line.starts_with("somebody else changed container/web: exec 0; exec 1; ");
    assert!(lines[1..].iter().any(one_by_one), "{lines:#?}");
    let more = format!("somebody else did more than is told one by one: {} times", 10_000 - UNHEARD_MAX);
    assert!(lines[1..].contains(&&*more), "{lines:#?}");
    let next = tokio::time::timeout(Duration::from_mins(10), outbox.next()).await;
    assert!(next.is_err(), "{next:?}");
}
