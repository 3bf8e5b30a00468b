//! Images that are made or used while others go. In: a load, a build, or the making of a container. Out: the same once more,
//! where the removal of another image has taken from under it what the two have in common. Removes nothing.

use std::time::Duration;

use tokio::time::sleep;

use crate::engine::EngineError;

/// How often something is asked for before it has failed, and how long a removal is waited for.
const TRIES: usize = 5;
const REMOVAL: Duration = Duration::from_millis(500);

/// Asks for what needs an image's layers, again where a removal has overtaken it.
pub(super) async fn again<F>(ask: impl Fn() -> F) -> Result<(), EngineError>
where
    F: Future<Output = Result<(), EngineError>>,
{
    for _ in 1..TRIES {
        match ask().await {
            Err(error) if is_overtaken(&error) => sleep(REMOVAL).await,
            answer => return answer,
        }
    }
    ask().await
}

/// Whether something failed as an image was removed meanwhile. containerd's image store takes a layer away with the last image
/// that has it, also from under a load or a new container that counts on it; with an image go the steps that it was built of, also
/// from under a build that has taken one of them from its cache. Asked for again, each makes what it lacks itself: a container's
/// layers are unpacked from the image once more.
fn is_overtaken(error: &EngineError) -> bool {
    let told = error.to_string();
    (told.contains("parent snapshot") && told.contains("does not exist"))
        || told.contains("unknown parent image ID")
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_a_removal_overtakes_is_asked_for_again_and_nothing_else_is() {
        let sent = Mutex::new(0);
        let told = async |sentence: &'static str, times: usize| {
            *sent.lock().unwrap() = 0;
            let send = || async {
                *sent.lock().unwrap() += 1;
                if *sent.lock().unwrap() > times {
                    Ok(())
                } else {
                    Err(EngineError::refused(sentence.to_owned()))
                }
            };
            let answer = again(send).await;
            (answer.map_err(|error| error.to_string()), *sent.lock().unwrap())
        };
        // In the words of Docker 26.1: twice with containerd's image store, and of its classic builder.
        for overtaken in [
            "load: failed to unpack loaded image: failed to prepare extraction snapshot \"extract-1 sha256:2f\": parent snapshot \
             sha256:e1 does not exist: not found",
            "create container seat: create: parent snapshot sha256:9e does not exist: not found",
            "build: failed to export image: failed to set parent sha256:df: unknown parent image ID sha256:df",
        ] {
            assert_eq!(told(overtaken, 2).await, (Ok(()), 3));
            assert_eq!(told(overtaken, TRIES).await, (Err(overtaken.to_owned()), TRIES));
        }
        let full = "load: no space left on device";
        assert_eq!(told(full, 1).await, (Err(full.to_owned()), 1));
    }
}
