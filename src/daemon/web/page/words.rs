//! The words of the status page in each of its languages. What the daemon says of a resource stays in its own words.

use crate::daemon::glance::Trouble;
use crate::html::language::Language;
use crate::resource::name::Kind;
use crate::status::{Condition, Outcome};

/// The words of one language. `#` is where a number goes.
pub(super) struct Words {
    /// The language's own name, on the switch to it.
    pub(super) name: &'static str,
    /// What is seen first.
    pub(super) skip: &'static str,
    pub(super) unknown: &'static str,
    pub(super) nothing: &'static str,
    pub(super) blind: &'static str,
    all_ready: [&'static str; 2],
    stalled: [&'static str; 2],
    progressing: [&'static str; 2],
    suspended: [&'static str; 2],
    /// What is known of the look.
    pub(super) looked: &'static str,
    pub(super) outdated: &'static str,
    pub(super) as_of: &'static str,
    pub(super) errors: &'static str,
    pub(super) committed: &'static str,
    pub(super) running: &'static str,
    pub(super) wanted: &'static str,
    pub(super) soon: &'static str,
    pub(super) refused: &'static str,
    pub(super) unfetched: &'static str,
    pub(super) journal: &'static str,
    pub(super) journal_broken: &'static str,
    pub(super) lost: &'static str,
    /// The parts of the page.
    pub(super) attention: &'static str,
    pub(super) under_way: &'static str,
    pub(super) actions: &'static str,
    /// What is done, by the daemon's word for it; one that is not here is its own.
    deeds: &'static [(&'static str, &'static str)],
    outcomes: [&'static str; 6],
    kinds: [&'static str; 4],
    conditions: [&'static str; 5],
    /// Of one resource.
    pub(super) back: &'static str,
    pub(super) since: &'static str,
    pub(super) why: &'static str,
    pub(super) stage: &'static str,
    pub(super) next_try: &'static str,
    pub(super) legacy: &'static str,
    pub(super) difference: &'static str,
    pub(super) field: &'static str,
    pub(super) is: &'static str,
    pub(super) to_be: &'static str,
    pub(super) none: &'static str,
    pub(super) output: &'static str,
    /// Of what is in a container.
    pub(super) usage: &'static str,
    pub(super) cpu: &'static str,
    pub(super) memory: &'static str,
    pub(super) network: &'static str,
    pub(super) disk: &'static str,
    pub(super) processes: &'static str,
    pub(super) log: &'static str,
    pub(super) log_is_empty: &'static str,
    absent: &'static str,
    stopped: &'static str,
    not_in_time: &'static str,
    too_many: &'static str,
    pub(super) gone: &'static str,
    pub(super) read_only: &'static str,
}

impl Words {
    pub(super) fn of(language: Language) -> &'static Self {
        match language {
            Language::Chinese => &CHINESE,
            Language::English => &ENGLISH,
        }
    }

    pub(super) const fn condition(&self, condition: Condition) -> &'static str {
        self.conditions[match condition {
            Condition::Ready => 0,
            Condition::Progressing => 1,
            Condition::Stalled => 2,
            Condition::Suspended => 3,
            Condition::Kept => 4,
        }]
    }

    /// What is done, by the daemon's word for it.
    pub(super) fn deed<'a>(&self, action: &'a str) -> &'a str {
        self.deeds.iter().find(|(word, _)| *word == action).map_or(action, |(_, own)| own)
    }

    pub(super) const fn outcome(&self, outcome: Outcome) -> &'static str {
        self.outcomes[match outcome {
            Outcome::Done => 0,
            Outcome::Unfinished => 1,
            Outcome::Failed => 2,
            Outcome::PutBack => 3,
            Outcome::NotPutBack => 4,
            Outcome::Outside => 5,
        }]
    }

    pub(super) const fn kind(&self, kind: Kind) -> &'static str {
        self.kinds[match kind {
            Kind::Container => 0,
            Kind::Image => 1,
            Kind::Network => 2,
            Kind::Volume => 3,
        }]
    }

    pub(super) fn trouble<'a>(&'a self, trouble: &'a Trouble) -> &'a str {
        match trouble {
            Trouble::Absent => self.absent,
            Trouble::Stopped => self.stopped,
            Trouble::NotInTime => self.not_in_time,
            Trouble::TooMany => self.too_many,
            Trouble::Refused(why) => why,
        }
    }

    pub(super) fn all_ready(&self, all: usize) -> String {
        counted(self.all_ready, all, all)
    }

    pub(super) fn stalled(&self, count: usize, all: usize) -> String {
        counted(self.stalled, count, all)
    }

    pub(super) fn progressing(&self, count: usize, all: usize) -> String {
        counted(self.progressing, count, all)
    }

    pub(super) fn suspended(&self, count: usize, all: usize) -> String {
        counted(self.suspended, count, all)
    }
}

fn counted(words: [&str; 2], count: usize, all: usize) -> String {
    words[usize::from(count != 1)].replacen('#', &count.to_string(), 1).replacen('#', &all.to_string(), 1)
}

static CHINESE: Words = Words {
    name: "中文",
    skip: "跳到内容",
    unknown: "尚未检查",
    nothing: "没有需要管理的资源",
    blind: "无法检查当前状态",
    all_ready: ["全部正常（# 项）", "全部正常（# 项）"],
    stalled: ["# 项需要处理（共 # 项）", "# 项需要处理（共 # 项）"],
    progressing: ["# 项正在准备（共 # 项）", "# 项正在准备（共 # 项）"],
    suspended: ["# 项已挂起，保持原样（共 # 项）", "# 项已挂起，保持原样（共 # 项）"],
    looked: "上次检查",
    outdated: "清单已更改，正在重新检查",
    as_of: "以下是上次检查时的状态：",
    errors: "清单有错误",
    committed: "已提交的版本未生效",
    running: "运行版本",
    wanted: "目标版本",
    soon: "即将生效",
    refused: "未生效：",
    unfetched: "无法获取清单仓库：",
    journal: "日志簿无法写入：",
    journal_broken: "日志簿曾被损坏：",
    lost: "与服务器的连接已断开，以下内容可能已过时。断开时间：",
    attention: "需要处理",
    under_way: "正在进行",
    actions: "最近操作",
    deeds: &[
        ("load", "载入"),
        ("pull", "拉取"),
        ("import", "导入"),
        ("build", "构建"),
        ("commit", "提交为镜像"),
        ("tag", "添加标签"),
        ("save", "保存到文件"),
        ("push", "推送"),
        ("create", "创建"),
        ("start", "启动"),
        ("restart", "重启"),
        ("collect", "收集文件"),
        ("pause", "暂停"),
        ("stop", "停止"),
        ("update", "更新"),
        ("replace", "替换"),
        ("remove", "移除"),
        ("blocked", "受阻"),
        ("exec", "执行命令"),
        ("copy in", "拷入文件"),
        ("copy out", "拷出文件"),
        ("attach", "附加到终端"),
        ("kill", "发送信号"),
        ("unpause", "恢复运行"),
        ("rename", "重命名"),
        ("connect", "接入网络"),
        ("disconnect", "断开网络"),
        ("untag", "移除标签"),
    ],
    outcomes: ["完成", "未完成，稍后继续", "失败", "已恢复原状", "无法恢复原状", "外部操作"],
    kinds: ["容器", "镜像", "网络", "卷"],
    conditions: ["正常", "进行中", "异常", "已挂起", "保留"],
    back: "全部资源",
    since: "自",
    why: "原因",
    stage: "当前步骤",
    next_try: "下次重试",
    legacy: "旧系统 imgId",
    difference: "与清单的差异",
    field: "字段",
    is: "当前",
    to_be: "应为",
    none: "（无）",
    output: "最近的步骤输出",
    usage: "当前用量",
    cpu: "CPU",
    memory: "内存（已用 / 上限）",
    network: "网络（接收 / 发送）",
    disk: "磁盘（读 / 写）",
    processes: "进程数",
    log: "最近的日志",
    log_is_empty: "没有日志。",
    absent: "没有容器。",
    stopped: "容器未在运行。",
    not_in_time: "Docker 引擎未及时响应。",
    too_many: "同时查看的请求过多，稍后会重试。",
    gone: "没有这个资源",
    read_only: "本页只读；更改请提交到清单。",
};

static ENGLISH: Words = Words {
    name: "English",
    skip: "Skip to the content",
    unknown: "Nothing has been looked at yet",
    nothing: "There is nothing to keep",
    blind: "Cannot look at how things stand",
    all_ready: ["All is well (#)", "All # are well"],
    stalled: ["# of # needs attention", "# of # need attention"],
    progressing: ["# of # is being made ready", "# of # are being made ready"],
    suspended: ["# of # is suspended, and left as it is", "# of # are suspended, and left as they are"],
    looked: "Looked at",
    outdated: "the manifests have changed, and are being looked at",
    as_of: "This is how things stood at the last look:",
    errors: "Errors in the manifests",
    committed: "What was committed last does not run",
    running: "Running revision",
    wanted: "Wanted revision",
    soon: "about to run",
    refused: "does not run:",
    unfetched: "The manifests' repository cannot be fetched:",
    journal: "The journal cannot be written:",
    journal_broken: "The journal did not hold:",
    lost: "The connection to the server is lost; what is shown may be old. Lost at",
    attention: "Needs attention",
    under_way: "Under way",
    actions: "Done last",
    deeds: &[],
    outcomes: [
        "done",
        "begun, goes on later",
        "failed",
        "put back as it was",
        "cannot be put back as it was",
        "from outside",
    ],
    kinds: ["Containers", "Images", "Networks", "Volumes"],
    conditions: ["Ready", "Progressing", "Stalled", "Suspended", "Kept"],
    back: "All resources",
    since: "since",
    why: "Why",
    stage: "Being done",
    next_try: "Next try",
    legacy: "Old imgId",
    difference: "Difference to the manifest",
    field: "Field",
    is: "Is",
    to_be: "Is to be",
    none: "(none)",
    output: "What its steps said last",
    usage: "What it uses now",
    cpu: "CPU",
    memory: "Memory (used / limit)",
    network: "Network (in / out)",
    disk: "Disk (read / written)",
    processes: "Processes",
    log: "What it wrote last",
    log_is_empty: "It has written nothing.",
    absent: "There is no container.",
    stopped: "It does not run.",
    not_in_time: "The engine has not answered in time.",
    too_many: "Too many ask at once; this is asked again in a moment.",
    gone: "There is no such resource",
    read_only: "This page only shows; changes are made in the manifests.",
};
