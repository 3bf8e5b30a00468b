//! What editors, tools and operators do to a directory, on a real one. Each scene ends with an
//! ordinary change, which must be noticed too: a watch that died would look fine until then.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::{FileWatch, Subject};
use crate::daemon::debounce::Causes;
use crate::daemon::wake::{Wakes, channel};
use crate::source::directory;
use crate::suspension::Suspension;

/// When nothing more is expected: well above the quiet period, well below the watch's own looks.
const PATIENCE: Duration = Duration::from_millis(350);

struct Scene {
    home: tempfile::TempDir,
    root: PathBuf,
    wakes: Wakes,
}

impl Scene {
    /// A directory `manifests` with `a.yaml`, watched.
    async fn begin() -> Self {
        Self::prepared("manifests", |home| {
            fs::create_dir(home.join("manifests")).unwrap();
            fs::write(home.join("manifests/a.yaml"), "1").unwrap();
        })
        .await
    }

    /// What `prepare` makes, with `root` watched.
    async fn prepared(root: &str, prepare: impl Fn(&Path)) -> Self {
        let home = tempfile::tempdir().unwrap();
        prepare(home.path());
        let root = home.path().join(root);
        let (bell, wakes) = channel();
        let watch = FileWatch::begin(&root, Subject::Manifests, bell).await.unwrap();
        tokio::spawn(watch.keep());
        let mut scene = Self { home, root, wakes };
        assert_eq!(scene.passes().await, 0, "nothing happened yet");
        scene
    }

    /// How many passes the daemon would make, until nothing more happens.
    async fn passes(&mut self) -> usize {
        let mut passes = 0;
        loop {
            let now = Instant::now();
            if self.wakes.next(now + PATIENCE, now).await == Causes::default() {
                return passes;
            }
            passes += 1;
        }
    }

    /// What was done is one pass or, on a slow machine, a few; and what comes next is noticed too.
    async fn is_noticed(&mut self, what: &str) {
        let passes = self.passes().await;
        assert!((1..=3).contains(&passes), "{what}: {passes} passes");
        self.write("a.yaml");
        assert!(self.passes().await >= 1, "{what}: an ordinary change after it");
    }

    fn write(&self, path: &str) {
        fs::write(self.root.join(path), "written").unwrap();
    }

    fn at(&self, path: &str) -> PathBuf {
        self.home.path().join(path)
    }
}

#[tokio::test]
async fn vim_saves_by_renaming_the_old_file_away() {
    let mut scene = Scene::begin().await;
    fs::rename(scene.root.join("a.yaml"), scene.root.join("a.yaml~")).unwrap();
    scene.write("a.yaml");
    fs::remove_file(scene.root.join("a.yaml~")).unwrap();
    scene.is_noticed("vim").await;
}

#[tokio::test]
async fn sed_saves_by_renaming_a_new_file_over_the_old_one() {
    let mut scene = Scene::begin().await;
    scene.write("sedx1");
    fs::rename(scene.root.join("sedx1"), scene.root.join("a.yaml")).unwrap();
    scene.is_noticed("sed -i").await;
}

#[tokio::test]
async fn a_checkout_of_three_hundred_files_is_few_passes() {
    let mut scene = Scene::begin().await;
    for number in 0..300 {
        scene.write(&format!("{number}.yaml"));
    }
    scene.is_noticed("300 files").await;
}

#[tokio::test]
async fn a_directory_made_later_is_watched_too() {
    let mut scene = Scene::begin().await;
    fs::create_dir_all(scene.root.join("seats/left")).unwrap();
    scene.write("seats/left/b.yaml");
    scene.is_noticed("mkdir").await;
    scene.write("seats/left/b.yaml");
    assert!(scene.passes().await >= 1);
}

#[tokio::test]
async fn the_directory_is_renamed_away_and_put_back() {
    let mut scene = Scene::begin().await;
    fs::rename(&scene.root, scene.at("away")).unwrap();
    assert!(scene.passes().await >= 1);
    fs::write(scene.at("away/a.yaml"), "2").unwrap();
    assert_eq!(scene.passes().await, 0, "what is away is not watched");
    fs::rename(scene.at("away"), &scene.root).unwrap();
    scene.is_noticed("put back").await;
}

#[tokio::test]
async fn another_directory_takes_its_place() {
    let mut scene = Scene::begin().await;
    fs::create_dir(scene.at("next")).unwrap();
    fs::write(scene.at("next/a.yaml"), "2").unwrap();
    fs::rename(&scene.root, scene.at("before")).unwrap();
    fs::rename(scene.at("next"), &scene.root).unwrap();
    scene.is_noticed("replaced").await;
}

#[tokio::test]
async fn the_directory_is_deleted_and_made_anew() {
    let mut scene = Scene::begin().await;
    fs::remove_dir_all(&scene.root).unwrap();
    fs::create_dir(&scene.root).unwrap();
    scene.write("a.yaml");
    scene.is_noticed("made anew").await;
}

#[tokio::test]
async fn a_link_is_swapped() {
    let mut scene = Scene::prepared("manifests", |home| {
        for release in ["one", "two"] {
            fs::create_dir(home.join(release)).unwrap();
            fs::write(home.join(release).join("a.yaml"), release).unwrap();
        }
        symlink(home.join("one"), home.join("manifests")).unwrap();
    })
    .await;
    symlink(scene.at("two"), scene.at("manifests.next")).unwrap();
    fs::rename(scene.at("manifests.next"), &scene.root).unwrap();
    scene.is_noticed("swapped").await;
}

#[tokio::test]
async fn a_config_map_is_updated() {
    let mut scene = Scene::prepared("manifests", |home| {
        let root = home.join("manifests");
        for version in ["..1", "..2"] {
            fs::create_dir_all(root.join(version)).unwrap();
            fs::write(root.join(version).join("a.yaml"), version).unwrap();
        }
        symlink("..1", root.join("..data")).unwrap();
        symlink("..data/a.yaml", root.join("a.yaml")).unwrap();
    })
    .await;
    symlink("..2", scene.root.join("..data_tmp")).unwrap();
    fs::rename(scene.root.join("..data_tmp"), scene.root.join("..data")).unwrap();
    fs::remove_dir_all(scene.root.join("..1")).unwrap();
    scene.is_noticed("..data").await;
}

#[tokio::test]
async fn a_single_file_is_saved_again_and_again() {
    let mut scene =
        Scene::prepared("exam.yaml", |home| fs::write(home.join("exam.yaml"), "1").unwrap()).await;
    for save in 2..5 {
        fs::write(scene.at("exam.yaml.new"), save.to_string()).unwrap();
        fs::rename(scene.at("exam.yaml.new"), &scene.root).unwrap();
        assert!((1..=3).contains(&scene.passes().await), "save {save}");
    }
}

#[tokio::test]
async fn a_directory_that_is_missing_at_first_is_noticed_when_it_comes() {
    let mut scene = Scene::prepared("manifests", |_| ()).await;
    fs::create_dir(&scene.root).unwrap();
    scene.write("a.yaml");
    scene.is_noticed("came").await;
}

#[tokio::test]
async fn a_link_that_is_swapped_further_up_is_seen_by_looking() {
    let home = tempfile::tempdir().unwrap();
    for release in ["one", "two"] {
        fs::create_dir_all(home.path().join(release).join("manifests")).unwrap();
    }
    let current = home.path().join("current");
    symlink("one", &current).unwrap();
    let (bell, wakes) = channel();
    let root = current.join("manifests");
    let mut watch = FileWatch::begin(&root, Subject::Manifests, bell).await.unwrap();
    watch.look_every = Duration::from_millis(50);
    tokio::spawn(watch.keep());
    let mut scene = Scene { home, root, wakes };
    assert_eq!(scene.passes().await, 0);
    fs::remove_file(&current).unwrap();
    assert!(scene.passes().await >= 1, "its parent is missing too");
    symlink("two", &current).unwrap();
    scene.is_noticed("swapped further up").await;
}

#[tokio::test]
async fn reading_wakes_nobody_and_neither_does_a_neighbour() {
    let mut scene = Scene::begin().await;
    directory::read(&scene.root).unwrap();
    fs::write(scene.at("neighbour"), "1").unwrap();
    fs::create_dir(scene.at("manifests-2")).unwrap();
    assert_eq!(scene.passes().await, 0);
}

#[tokio::test]
async fn a_host_that_is_suspended_and_resumed_is_noticed_each_time_and_its_neighbours_are_not() {
    let home = tempfile::tempdir().unwrap();
    let [exam, other] =
        ["exam", "other"].map(|owner| Suspension::of(&home.path().join("state"), &owner.parse().unwrap()));
    exam.make_room().unwrap();
    let (bell, wakes) = channel();
    tokio::spawn(FileWatch::begin(exam.file(), Subject::Suspension, bell).await.unwrap().keep());
    let mut scene = Scene { root: home.path().join("state"), home, wakes };
    for _ in 0..3 {
        exam.set("the exam runs").unwrap();
        assert!((1..=3).contains(&scene.passes().await), "suspended");
        exam.set("another reason").unwrap();
        assert!((1..=3).contains(&scene.passes().await), "another reason");
        assert!(exam.clear().unwrap());
        assert!((1..=3).contains(&scene.passes().await), "resumed");
    }
    other.set("not this one").unwrap();
    scene.write("exam.failed.json");
    assert_eq!(scene.passes().await, 0);
}
