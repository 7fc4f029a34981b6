//! The file that `chorale init` writes: every option, its default, and what it means.

/// The text of a fresh `chorale.toml`. Paths are written as given; what has its default is a comment.
#[must_use]
pub fn template(label: &str, model: Option<&str>, data: Option<&str>) -> String {
    let line = |key: &str, value: Option<&str>, default: &str| match value {
        Some(value) => format!("{key} = {}", toml::Value::String(value.into())),
        None => format!("# {key} = \"{default}\""),
    };
    TEMPLATE
        .replace("{label}", &line("label", Some(label), ""))
        .replace("{model}", &line("path", model, "model"))
        .replace("{data}", &line("train", data, "data.jsonl"))
}

const TEMPLATE: &str = r#"# Configuration of one Chorale member. A line that begins with # shows the default.
# Every key can be set by the environment, too: CHORALE_<SECTION>_<KEY>, such as CHORALE_TRAIN_BATCH=8, and by the flag
# --set <section>.<key>=<value> of `chorale run`. Order: default < this file < environment < flag.
# Relative paths are relative to this folder. What all members must share (rank, alpha, targets, rounds, merge rule …) is not
# here but in the network's manifest: see `chorale network show`.

# What people call this member: 1 to 64 of a-z 0-9 . _ -. It stands in records for ever; use no personal name.
{label}

[model]
# The base model: a Hugging Face folder with config.json, *.safetensors and tokenizer.json. All members need the same.
{model}

[data]
# Private examples, one JSON object a line: {"prompt","completion"}, {"question","answer"} or {"text"}; or plain text (.txt).
# Lines appended while the node runs are used from the next round on. No example of this file ever leaves this machine.
{data}
# A file of held-out examples; "" holds out a fixed part of the file above, chosen by the hash of each example.
# held_out = ""
# That part, 0 to 0.9.
# holdout_fraction = 0.1
# At most so many held-out examples are used to measure a loss; 0: all.
# holdout_limit = 256
# Names of the fields.
# text = "text"
# prompt = "prompt"
# completion = "completion"
# question = "question"
# answer = "answer"
# How question and answer become one text; only the answer counts in the loss.
# template = "Question: {question}\nAnswer: {answer}"
# true: an unusable line is an error; false: it is skipped and counted.
# strict = false
# Tokens in a row of a batch.
# sequence_length = 256
# true: fill rows with one example after the other; false: one example a row.
# packing = true
# What happens to an example longer than a row: "split", "truncate" or "skip".
# long = "split"
# Seed of the order in which examples are drawn.
# seed = 0

[train]
# "torch", or "fake": a stand-in without a model, to try out everything else.
# trainer = "torch"
# "auto" (CUDA when libtorch has it; that of scripts/setup.sh has not), "cpu" or "cuda".
# device = "auto"
# What the frozen model is computed in: "f32" or "bf16".
# precision = "f32"
# AdamW.
# learning_rate = 0.001
# weight_decay = 0.0
# warmup_steps = 0
# "constant", or "cosine": down to 0 at schedule_steps; 0 means the last step of the network's last round.
# schedule = "constant"
# schedule_steps = 0
# Rows of a batch, and batches in one optimiser step.
# batch = 16
# accumulate = 1
# Gradients are shortened to this norm; 0: never.
# clip_norm = 1.0
# CPU threads; 0: as many as libtorch takes by itself.
# threads = 0

[network]
# Where to listen; port 0 lets the system choose. For QUIC: /ip4/0.0.0.0/udp/4001/quic-v1.
# listen = ["/ip4/0.0.0.0/tcp/0"]
# Addresses of any other members, such as "/ip4/192.0.2.7/tcp/4001"; one that answers is enough.
# bootstrap = []
# Look for members on the local network by mDNS.
# mdns = false

[node]
# Threads that merge.
# merge_threads = 1
# The longest wait for other members' publications in a round, in percent of what this member's own rounds usually take. Members
# whose work takes longer than ours by more than that are not waited for: what they published before is merged.
# wait_percent = 100
# That wait, in milliseconds, as long as nothing was observed; and how long the others may catch up when this member is so far
# ahead that they cannot use its work.
# gather_max_ms = 30000
# How long to wait at the start for other members before going on alone, in milliseconds; twelve times as long once this
# member has published something: only its peers can tell whether this home is an old backup.
# start_wait_ms = 5000
# How often this member signs how far its transparency log has come and asks the others to cosign, in milliseconds, at least 100.
# checkpoint_ms = 30000
# What log.jsonl holds: "error", "warn", "info", "debug", or by module: "info,chorale::net=debug".
# log = "info"
"#;

/// Sets `section.key` (or a top-level `key`) in a text that [`template`] made, shown as default or set before. `value` is
/// TOML; what is no TOML value is taken as a string. `None`: there is no such option.
#[must_use]
pub fn set_in(text: &str, key: &str, value: &str) -> Option<String> {
    let (section, key) = key.split_once('.').map_or(("", key), |(section, key)| (section, key));
    let value = match toml::from_str::<toml::Table>(&format!("v = {value}")) {
        Ok(_) => value.to_owned(),
        Err(_) => toml::Value::String(value.into()).to_string(),
    };
    let mut here = "";
    let mut found = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                here = name;
            }
            let plain = line.strip_prefix("# ").unwrap_or(line);
            if here == section && !found && plain.split_once(" = ").is_some_and(|(name, _)| name == key) {
                found = true;
                return format!("{key} = {value}");
            }
            line.to_owned()
        })
        .collect();
    found.then(|| lines.join("\n") + "\n")
}
