//! The parts of a world, each on one of two sides. In: sides. Out: manifests of which each side's make, change, replace
//! and remove something where the other one was there before, and what has to be there then. Asks no engine.

use crate::support::BUSYBOX;

/// Which set of a part's manifests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    A,
    B,
}

impl Side {
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }

    /// The word for it in manifests.
    const fn word(self) -> &'static str {
        match self {
            Self::A => "a",
            Self::B => "b",
        }
    }
}

/// Resources that change sides together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A problem set and its seat, an imported image, one that is loaded and its container.
    Images,
    /// A network that is made anew with who is on it, and a container that never runs.
    Network,
    /// A container with all that may be lost, and what comes after it.
    Web,
    /// A container that is restarted, and one that is changed in place.
    Again,
    /// A container whose successor starts first, one that gives up its name before it is stopped, and one that shares its
    /// network.
    Swift,
}

impl Part {
    pub const ALL: [Self; 5] = [Self::Images, Self::Network, Self::Web, Self::Again, Self::Swift];

    /// The part that a container changes sides with; none for those that no side changes.
    pub fn of_container(name: &str) -> Option<Self> {
        Some(match name.split('.').next()? {
            "seat" | "tiny" => Self::Images,
            "idle" => Self::Network,
            "web" | "after" => Self::Web,
            "again" => Self::Again,
            "beside" | "steady" | "swift" => Self::Swift,
            _ => return None,
        })
    }
}

/// What changes sides in one pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Moved {
    Whole,
    Only(Part),
}

impl Moved {
    pub fn has(self, part: Part) -> bool {
        self == Self::Whole || self == Self::Only(part)
    }

    pub fn all() -> impl Iterator<Item = Self> {
        std::iter::once(Self::Whole).chain(Part::ALL.map(Self::Only))
    }
}

/// The side of each part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sides([Side; Part::ALL.len()]);

impl Sides {
    pub const A: Self = Self([Side::A; Part::ALL.len()]);

    pub fn of(self, part: Part) -> Side {
        Part::ALL.iter().zip(self.0).find(|(one, _)| **one == part).expect("all have one").1
    }

    /// The side of what is moved together, if it is on one.
    pub fn of_all(self, moved: Moved) -> Option<Side> {
        let mut sides = Part::ALL.into_iter().filter(|part| moved.has(*part)).map(|part| self.of(part));
        let first = sides.next()?;
        sides.all(|side| side == first).then_some(first)
    }

    pub fn turn(&mut self, moved: Moved) {
        for (part, side) in Part::ALL.into_iter().zip(&mut self.0) {
            if moved.has(part) {
                *side = side.other();
            }
        }
    }

    fn is_b(self, part: Part) -> bool {
        self.of(part) == Side::B
    }

    /// The names of all containers, with what each is doing.
    pub fn containers(self) -> Vec<&'static str> {
        let mut names = vec![
            "again running",
            "beside running",
            "idle created",
            "limits running",
            "steady running",
            "still running",
            "swift running",
            "theirs running",
            "web running",
        ];
        names.extend(if self.is_b(Part::Images) { ["tiny created"] } else { ["seat running"] });
        names.extend(self.is_b(Part::Web).then_some("after running"));
        names.sort_unstable();
        names
    }

    /// Containers that have their side in a variable.
    pub fn environments(self) -> Vec<String> {
        [("idle", Part::Network), ("steady", Part::Swift), ("swift", Part::Swift), ("web", Part::Web)]
            .map(|(name, part)| format!("{name} SIDE={}", self.of(part).word()))
            .to_vec()
    }

    /// What is in the file of the container that is restarted.
    pub fn file(self) -> &'static str {
        self.of(Part::Again).word()
    }

    pub fn networks(self) -> Vec<&'static str> {
        let more = self.is_b(Part::Web).then_some("more");
        ["keep"].into_iter().chain(more).chain(["net", "theirs"]).collect()
    }

    /// The tags of images, and of what bears a mark.
    pub fn tags(self) -> Vec<&'static str> {
        let mut tags = vec!["@imported:v1", "@paper:latest", "@withvolume:latest"];
        tags.extend(["mark of @imported", "mark of @paper"]);
        if self.is_b(Part::Images) {
            tags.extend(["@loaded:v1", "mark of @loaded"]);
        }
        tags.sort_unstable();
        tags
    }

    /// All manifests, with `@` for the world's prefix. `port` is web's, the networks' addresses are of `subnets`.
    pub fn manifests(self, port: u16, subnets: &[String; 4]) -> String {
        Part::ALL.map(|part| self.of(part).manifests(part, port, subnets)).concat()
    }
}

impl Side {
    fn manifests(self, part: Part, port: u16, [net, keep, more, _]: &[String; 4]) -> String {
        let side = self.word();
        let sleep = "command: [sleep, '100000'], stopSignal: SIGKILL";
        let busybox = format!("image: '{BUSYBOX}', {sleep}");
        let mtu = if self == Self::A { "1400" } else { "1450" };
        let both = match part {
            Part::Images => vec![
                manifest(
                    "ProblemSet",
                    "paper",
                    &format!(
                        "{{title: T, items: [{{id: '1', type: short_answer, prompt: side {side}, key: {{reference: r}}}}]}}"
                    ),
                ),
                manifest(
                    "Image",
                    "imported",
                    &format!(
                        "{{import: {{archive: rootfs.tar, changes: ['LABEL side={side} of=@']}}, tags: ['@imported:v1']}}"
                    ),
                ),
            ],
            Part::Network => vec![
                manifest(
                    "Network",
                    "net",
                    // What is new of it is tried first.
                    &format!(
                        "{{labels: {{side: {side}}}, subnets: [{{subnet: {net}}}], \
                          options: {{com.docker.network.driver.mtu: '{mtu}'}}}}"
                    ),
                ),
                manifest("Network", "keep", &format!("{{internal: true, subnets: [{{subnet: {keep}}}]}}")),
                container("still", &format!("{{{busybox}, networks: ['@net']}}")),
                container(
                    "idle",
                    &format!(
                        "{{{busybox}, networks: ['@keep', '@net'], state: created, env: {{SIDE: {side}}}}}"
                    ),
                ),
            ],
            Part::Web => vec![
                manifest("Volume", "data", "{}"),
                container(
                    "web",
                    &format!(
                        "{{image: '@withvolume', {sleep}, networks: ['@keep'], ports: ['127.0.0.1:{port}:80'], \
                          binds: ['@data:/data'], env: {{SIDE: {side}}}, \
                          files: [{{path: /etc/side, content: {side}}}], collect: [{{path: /etc/side, to: .kept}}]}}"
                    ),
                ),
            ],
            Part::Again => vec![
                container("limits", &format!("{{{busybox}, networkMode: none, {}}}", self.limits())),
                container(
                    "again",
                    &format!(
                        "{{{busybox}, networkMode: none, restartToken: {side}, \
                          files: [{{path: /etc/side, content: {side}, onChange: restart}}]}}"
                    ),
                ),
            ],
            Part::Swift => vec![
                container(
                    "swift",
                    &format!(
                        "{{{busybox}, networkMode: none, update: {{order: startFirst}}, env: {{SIDE: {side}}}}}"
                    ),
                ),
                container("steady", &format!("{{{busybox}, networkMode: none, env: {{SIDE: {side}}}}}")),
                container("beside", &format!("{{{busybox}, networkMode: 'container:@steady'}}")),
            ],
        };
        let alone = match (part, self) {
            (Part::Images, Self::A) => vec![container(
                "seat",
                "{problemSet: '@paper', networkMode: none, healthcheck: {test: [NONE]}}",
            )],
            (Part::Images, Self::B) => vec![
                manifest("Image", "loaded", "{load: {archive: saved.tar}, tags: ['@loaded:v1']}"),
                container("tiny", "{image: '@loaded:v1', command: [x], networkMode: none, state: created}"),
            ],
            (Part::Web, Self::B) => vec![
                manifest("Network", "more", &format!("{{internal: true, subnets: [{{subnet: {more}}}]}}")),
                manifest("Volume", "more", "{}"),
                container(
                    "after",
                    &format!("{{{busybox}, networks: ['@more'], dependsOn: ['@web'], binds: ['@more:/m']}}"),
                ),
            ],
            _ => Vec::new(),
        };
        [both, alone].concat().concat()
    }

    const fn limits(self) -> &'static str {
        match self {
            Self::A => "restartPolicy: 'no', resources: {memory: 32Mi}",
            Self::B => "restartPolicy: unless-stopped, resources: {memory: 48Mi}",
        }
    }
}

fn container(name: &str, spec: &str) -> String {
    manifest("Container", name, spec)
}

fn manifest(kind: &str, name: &str, spec: &str) -> String {
    format!("---\napiVersion: invigil/v1\nkind: {kind}\nmetadata: {{name: '@{name}'}}\nspec: {spec}\n")
}
