//! The read-only views: what is on the engine, as a table for people or as the engine's own documents. They hold an
//! engine that can only be looked at (law 10), and print nothing of its raw to a terminal (law 13).

mod columns;
mod container;
mod cp;
mod describe;
mod events;
mod filter;
mod get;
mod host;
mod image;
mod log;
mod logs;
mod moment;
mod names;
mod output;
mod stats;
mod status;
mod table;
mod unpack;

pub(super) use output::{DocumentForm, is_gone, json, print_or_end, yaml};
pub(super) use status::wanted_text;
pub(super) use table::Table;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

#[derive(Debug, Subcommand)]
pub(super) enum View {
    /// Show how the resources stand, as the daemon sees it
    #[command(after_help = "\
Examples:
  invigil status
  invigil status image/img-test        also what its builder or its registry said last
  invigil status imgId-1               the same, by what the old exam service called the image
  invigil status --wait --timeout 2m && echo 'the room is ready'
  invigil status -o json | jq '.resources[\"container/web\"].condition'

Ready: as its manifest says, and well. Progressing: something is being done about it. Stalled: it
is not as its manifest says, or not well, and nothing helps now but what WHY says. Suspended: left
as it is because somebody said so. Kept: no manifest describes it, and WHY says why it is there.
Exit codes: 0 everything asked for is ready, suspended or kept, 2 something is not, a manifest is
wrong or was not looked at yet, or a revision is refused, 1 an error; that no daemon runs is one.")]
    Status(status::StatusArgs),
    /// Show containers, images, networks or volumes, ours and others'
    #[command(after_help = "\
Examples:
  invigil get containers
  invigil get containers -f status=exited -f label=room=101
  invigil get containers -f health=unhealthy -o name
  invigil get container web -o json | jq .State
  invigil get container/web -o yaml    the engine's whole document
  invigil get images -o wide           with who uses them
  invigil get image img-test           by reference, id, or the name of an Image or ProblemSet
  invigil get volumes

RESOURCE is what it is in the manifests, if this owner's Invigil made it. -o json and yaml give
the engine's own list; with one NAME its whole document, with several a list of those. The values
of variables are in it, secrets too.
Filters are the engine's own, as Docker documents them for ps, images, network ls and volume ls.
Exit codes: 0 shown, 1 an error; a name that nothing bears is one.")]
    Get(get::GetArgs),
    /// Show one resource: its manifest, what is live of it, the difference, what was done to it, and its last events
    #[command(after_help = "\
Examples:
  invigil describe container/web
  invigil describe web exams           by the manifests in exams
  invigil describe problemset/midterm -o json | jq .plan.changes

The difference is what `plan` would say of this resource alone; what it would do for others first,
and how removals are limited, `plan` tells. What was done to it are the last 20 entries of the
journal. Of events the engine remembers the last 256; what is run in a container, as health checks
are, is left out.
With -o json and yaml, `live` is the engine's whole document; the values of variables are in it,
secrets too.
Exit codes: 0 shown, 1 an error; a name that nothing bears is one.")]
    Describe(describe::DescribeArgs),
    /// Show what an image was made of
    #[command(after_help = "\
Examples:
  invigil history exam-client:3
  invigil history img-test             an Image or ProblemSet of the manifests
  invigil history 3f2a91c0d7be -o json
  invigil history exam-client:3 -o wide

-o wide cuts nothing off; -o name gives the ids of the layers that are images on this host.
Exit codes: 0 shown, 1 an error.")]
    History(image::HistoryArgs),
    /// Ask a registry for images
    #[command(after_help = "\
Examples:
  invigil search nginx --limit 5
  invigil search nginx -f is-official=true -f stars=10 -o name
  invigil search registry.example/exam -o json

The engine asks; a registry need not answer such questions, and many do not. Filters are the
engine's own, as Docker documents them for search.
Exit codes: 0 asked, also if nothing was found, 1 an error.")]
    Search(image::SearchArgs),
    /// Ask the engine whether it is there
    #[command(after_help = "\
Examples:
  invigil ping
  DOCKER_HOST=tcp://10.0.0.5:2375 invigil ping -o json

Exit codes: 0 it answers, and Invigil can work with it; 1 not.")]
    Ping(host::PingArgs),
    /// Show which Invigil and which engine this is
    #[command(after_help = "\
Examples:
  invigil version
  invigil version -o json | jq -r .engine.Version

Exit codes: 0 shown, 1 the engine does not answer; which Invigil this is is shown all the same.")]
    Version(host::DocumentArgs),
    /// Show what the engine says of itself
    #[command(after_help = "\
Examples:
  invigil info
  invigil info -o yaml                 everything

Exit codes: 0 shown, 1 an error.")]
    Info(host::DocumentArgs),
    /// Show what Invigil did: the journal
    #[command(after_help = "\
Examples:
  invigil log                          the last 100 entries
  invigil log --resource container/web --since 24h
  invigil log -n 0 -o json | jq 'select(.what.event == \"failed\")'
  invigil log --verify                 is every entry what was written?
  invigil log --verify --head 412:3f2a...
                                       and is what was noted before still in it?

Every action that the daemon, `apply` and `prune` took, with its reasons field by field; secrets are
hidden as in plans. The entries are a chain of SHA-256 hashes: one that was changed, taken out or
moved is found, and so is an end that was cut off. Who may write the file could compute all of it
anew: against that, note the head that --verify tells somewhere else, and give it back with --head.
A journal that was begun anew, because the one before was damaged or removed, says so, and --verify
fails; not any more with a --head from after that, since who noted it has been told.
Exit codes: 0 shown, or all holds; 1 an error, or something does not hold, or there is none.")]
    Log(log::LogArgs),
    /// Show what containers wrote
    #[command(after_help = "\
Examples:
  invigil logs seat-01 --tail 20
  invigil logs -f seat-01 seat-02 container/db
  invigil logs seat-01 --since 10m --stderr
  invigil logs seat-01 --since 2018-07-06T16:34:00+08:00 --timestamps

Lines of several containers are in the order in which they were written, each with its container's
name before it. On a terminal colours are left out, and whatever else would steer it is shown; a
pipe or file gets the bytes as they were written.
Exit codes: 0 shown, 1 an error.")]
    Logs(logs::LogsArgs),
    /// Show what a container writes from now on
    #[command(after_help = "\
Examples:
  invigil attach seat-01
  invigil attach seat-01 --stderr
  invigil attach seat-01 -o json | jq -r .text

Output only: nothing that is typed reaches the container, and Ctrl-C ends only this.
Exit codes: 0 the container has ended, 1 an error.")]
    Attach(logs::AttachArgs),
    /// Show what runs in a container
    #[command(after_help = "\
Examples:
  invigil top seat-01
  invigil top seat-01 -eo pid,rss,args
  invigil top -o json seat-01

Exit codes: 0 shown, 1 an error; a container that does not run is one.")]
    Top(container::TopArgs),
    /// Show which files of a container differ from its image's
    #[command(after_help = "\
Examples:
  invigil changes seat-01
  invigil changes seat-01 -o json      Kind: 0 changed, 1 added, 2 deleted

What lies in volumes and binds is no part of the container, and is not told.
Exit codes: 0 shown, 1 an error.")]
    Changes(container::ChangesArgs),
    /// Show how much containers use
    #[command(after_help = "\
Examples:
  invigil stats                        live on a terminal, once elsewhere
  invigil stats seat-01 seat-02 --once
  invigil stats -o json | jq '.[].memory_stats.usage'

100 % of CPU is one core. Memory is without what the kernel would give up at once.
Exit codes: 0 shown, 1 an error.")]
    Stats(stats::StatsArgs),
    /// Show what happens on the engine
    #[command(after_help = "\
Examples:
  invigil events
  invigil events --since 1h --until 0s -f event=die
  invigil events -f container=seat-01 -o json

Filters are the engine's own, as Docker documents them for events; the engine remembers its last
256 events.
Exit codes: 0 the period has ended, 1 an error.")]
    Events(events::EventsArgs),
    /// Wait until containers have ended, and print their exit codes
    #[command(after_help = "\
Examples:
  invigil wait grading
  test \"$(invigil wait grading)\" = 0 && echo graded
  invigil wait seat-01 seat-02 -o json

The codes stand in the order of the names; of one that has ended already, at once.
Exit codes: 0 all have ended, however, 1 an error.")]
    Wait(container::WaitArgs),
    /// Copy files out of a container
    #[command(after_help = "\
Examples:
  invigil cp seat-01:/exam/responses answers      makes answers/responses
  invigil cp seat-01:/exam/responses - | tar -tv

For a look: what is to be kept every time belongs into `collect` of the Container's manifest. In
the new directory nothing leads out of it: names and links that would, and devices, are left out
and listed; owners are yours, and nothing is executable with more rights than you have.
Exit codes: 0 everything was copied, 2 something was left out and is listed, 1 an error.")]
    Cp(cp::CpArgs),
}

/// Shows something.
pub(super) async fn view(view: &View) -> Result<ExitCode> {
    let result = match view {
        View::Status(args) => status::status(args).await,
        View::Get(args) => get::get(args).await,
        View::Describe(args) => describe::describe(args).await,
        View::History(args) => image::history(args).await,
        View::Search(args) => image::search(args).await,
        View::Ping(args) => host::ping(args).await,
        View::Version(args) => host::version(args).await,
        View::Info(args) => host::info(args).await,
        View::Log(args) => log::log(args),
        View::Logs(args) => logs::logs(args).await,
        View::Attach(args) => logs::attach(args).await,
        View::Top(args) => container::top(args).await,
        View::Changes(args) => container::changes(args).await,
        View::Stats(args) => stats::stats(args).await,
        View::Events(args) => events::events(args).await,
        View::Wait(args) => container::wait(args).await,
        View::Cp(args) => cp::cp(args).await,
    };
    match result {
        // A reader that has gone away (`| head`) is no error.
        Err(error) if error.downcast_ref().is_some_and(is_gone) => Ok(ExitCode::SUCCESS),
        result => result,
    }
}
