//! What the engine in memory tells while it is listened to. In: steps, and the containers they are done to. Out: what a real
//! engine says of them.

use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use super::super::{EngineError, Events, Heard, Manner, Touch};
use super::world::World;
use super::{Inner, MemoryEngine};
use crate::plan::Step;
use crate::resource::label;
use crate::resource::name::Kind;

/// Whoever listens.
pub(super) type Listeners = Vec<UnboundedSender<Heard>>;

impl Events for MemoryEngine {
    fn events(&self) -> impl Stream<Item = Result<Heard, EngineError>> + Send {
        let (sender, receiver) = unbounded_channel();
        self.lock().listeners.push(sender);
        let told =
            stream::unfold(receiver, |mut receiver| async { Some((receiver.recv().await?, receiver)) });
        stream::once(std::future::ready(Heard::LISTENING)).chain(told).map(Ok)
    }

    async fn takes_calls(&self) -> bool {
        true
    }
}

impl Inner {
    /// Does a step, and tells of it.
    pub(super) fn act(&mut self, step: &Step) -> Result<(), EngineError> {
        let before = touched(&self.world, step);
        self.world.act(step)?;
        let touches = before.as_ref().map(|touched| touches(&self.world, step, touched));
        let touches = touches.unwrap_or_else(|| untold(step).into_iter().collect());
        let turned = before.filter(|_| matches!(step, Step::Start(_) | Step::Stop(_) | Step::Restart(_)));
        let moved = Heard { moved: true, touch: None, turned: turned.map(|touched| touched.touch.id) };
        let told = touches.into_iter().map(|touch| {
            self.told += 1;
            let time = Timestamp::from_second(self.told).unwrap_or(Timestamp::MAX);
            Heard { touch: Some(Touch { time, ..touch }), ..moved.clone() }
        });
        let told: Vec<Heard> = told.chain([moved.clone()]).collect();
        for heard in told {
            self.listeners.retain(|listener| listener.send(heard.clone()).is_ok());
        }
        Ok(())
    }
}

/// What is told of a step that is done to a thing without labels in its events.
fn untold(step: &Step) -> Option<Touch> {
    let (kind, id, manner) = match step {
        Step::RemoveNetwork(network) | Step::RemoveTrial(network) => {
            (Kind::Network, network.as_str(), Manner::Remove)
        }
        Step::Untag { image, .. } => (Kind::Image, image.as_str(), Manner::Untag),
        _ => return None,
    };
    let (time, name) = (Timestamp::UNIX_EPOCH, id.to_owned());
    Some(Touch { time, kind, id: id.to_owned(), name, labelled: None, manner })
}

/// A container of an Invigil's before a step is done to it.
struct Touched {
    touch: Touch,
    is_up: bool,
}

fn touched(world: &World, step: &Step) -> Option<Touched> {
    let mut step = step.clone();
    let target = step.container_mut()?;
    let container = world.containers.iter().find(|container| container.is_called(target))?;
    let label = |key: &str| container.config["Labels"][key].as_str().unwrap_or_default();
    let touch = Touch {
        time: Timestamp::UNIX_EPOCH,
        kind: Kind::Container,
        id: container.id.as_str().to_owned(),
        name: container.name.clone(),
        labelled: Some((label(label::OWNER).parse().ok()?, label(label::RESOURCE).parse().ok()?)),
        manner: Manner::Remove,
    };
    Some(Touched { touch, is_up: container.doing.is_up() })
}

fn touches(world: &World, step: &Step, Touched { touch, is_up }: &Touched) -> Vec<Touch> {
    let name = || touch.name.clone();
    let ended = || vec![Manner::Kill("SIGTERM".to_owned()), Manner::Stop];
    let manners = match step {
        Step::Stop(_) if *is_up => ended(),
        Step::Restart(_) if *is_up => [ended(), vec![Manner::Restart]].concat(),
        Step::Restart(_) => vec![Manner::Restart],
        Step::Signal { signal, .. } => vec![Manner::Kill(signal.clone())],
        Step::Pause(_) => vec![Manner::Pause],
        Step::Unpause(_) => vec![Manner::Unpause],
        Step::Rename { .. } => vec![Manner::Rename(name())],
        Step::Update { .. } => vec![Manner::Update],
        Step::Put { .. } => vec![Manner::CopyIn],
        Step::Collect { .. } => vec![Manner::CopyOut],
        Step::Connect { network, .. } => vec![Manner::Connect(network.clone())],
        Step::Disconnect { network, .. } => vec![Manner::Disconnect(network.clone())],
        Step::RemoveContainer(_) => vec![Manner::Remove],
        _ => Vec::new(),
    };
    let after = world.containers.iter().find(|container| container.id.as_str() == touch.id);
    let name = after.map_or_else(name, |container| container.name.clone());
    let told = |manner| {
        let is_labelled = !matches!(manner, Manner::Connect(_) | Manner::Disconnect(_));
        let labelled = touch.labelled.clone().filter(|_| is_labelled);
        Touch { manner, name: name.clone(), labelled, ..touch.clone() }
    };
    manners.into_iter().map(told).collect()
}
