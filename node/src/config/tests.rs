use std::path::Path;

use super::*;

fn home() -> (tempfile::TempDir, Home) {
    let dir = tempfile::tempdir().unwrap();
    let home = Home::create(&dir.path().join("h"), &template("north", None, None)).unwrap();
    (dir, home)
}

fn parse(text: &str, environment: &[(&str, &str)], flags: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let (_dir, home) = home();
    let environment: Vec<_> = environment.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
    let flags: Vec<_> = flags
        .iter()
        .map(|(k, v)| Setting { key: (*k).into(), value: (*v).into(), flag: format!("--set {k}") })
        .collect();
    Config::parse(&home, Path::new("chorale.toml"), text, &environment, &flags)
}

fn message(result: Result<Config, ConfigError>) -> String {
    result.unwrap_err().to_string()
}

#[test]
fn the_template_shows_the_defaults_and_nothing_unknown() {
    let text = template("north", None, None);
    let shown: String = text
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.split_once(" = ").is_some_and(|(key, _)| !key.contains(' ')) => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert!(shown.contains("\nbatch = 16\n"), "{shown}");
    let shown = parse(&shown, &[], &[]).unwrap();
    let default = parse("label = \"north\"", &[], &[]).unwrap();
    let tail = |config: &Config| {
        let mut train = config.train.clone();
        for path in [&mut train.model, &mut train.data] {
            *path = path.file_name().unwrap().into();
        }
        (
            train,
            config.merge_threads,
            (config.wait_percent, config.gather_max),
            config.start_wait,
            config.checkpoint,
            config.log.clone(),
        )
    };
    assert_eq!(tail(&shown), tail(&default));
    assert_eq!(shown.network.listen, default.network.listen);
}

#[test]
fn a_flag_beats_the_environment_which_beats_the_file_which_beats_the_default() {
    let file = "[train]\nbatch = 2\nthreads = 2\naccumulate = 2";
    let env = [("CHORALE_TRAIN_THREADS", "3"), ("CHORALE_TRAIN_ACCUMULATE", "3"), ("CHORALE_SHARED", "/x")];
    let config = parse(file, &env, &[("train.accumulate", "4")]).unwrap();
    assert_eq!((config.train.batch_size, config.train.threads, config.train.accumulate), (2, 3, 4));
    assert_eq!(config.train.sequence_length, 256);
}

#[test]
fn lists_and_words_come_from_the_environment() {
    let env = [
        ("CHORALE_NETWORK_LISTEN", "/ip4/127.0.0.1/tcp/0,/ip6/::1/tcp/0"),
        ("CHORALE_LABEL", "7"),
        ("CHORALE_TRAIN_TRAINER", "fake"),
        ("CHORALE_TRAIN_LEARNING_RATE", "1"),
    ];
    let config = parse("", &env, &[]).unwrap();
    assert_eq!(config.network.listen.len(), 2);
    assert_eq!((config.label.as_str(), config.trainer, config.train.learning_rate), ("7", TrainerKind::Fake, 1.0));
}

#[test]
fn an_error_names_the_place_the_key_what_came_and_what_was_wanted() {
    let text = message(parse("[train]\nbatch = \"many\"", &[], &[]));
    assert!(text.contains("chorale.toml") && text.contains("batch = \"many\"") && text.contains("line 2"), "{text}");
    let text = message(parse("[train]\nbatsh = 1", &[], &[]));
    assert!(text.contains("unknown field `batsh`") && text.contains("`batch`"), "{text}");
    let text = message(parse("[train]\nbatch = -1", &[], &[]));
    assert!(text.contains("chorale.toml: train.batch: got -1, wanted a whole number"), "{text}");
    let text = message(parse("[data]\nsequence_length = 0", &[], &[]));
    assert!(text.contains("data.sequence_length: got 0, wanted 2 to 2^20"), "{text}");
    let text = message(parse("", &[("CHORALE_TRAIN_BATCH", "x")], &[]));
    assert!(text.contains("CHORALE_TRAIN_BATCH") && text.contains("train.batch = x"), "{text}");
    let text = message(parse("", &[("CHORALE_TRAIN_BATSH", "1")], &[]));
    assert!(text.contains("CHORALE_TRAIN_BATSH") && text.contains("unknown field"), "{text}");
    let text = message(parse("", &[], &[("network.bootstrap", "nowhere")]));
    assert!(text.contains("--set network.bootstrap") && text.contains("\"nowhere\""), "{text}");
    let text = message(parse("[train]\ndevice = \"tpu\"", &[], &[]));
    assert!(text.contains("train.device: got \"tpu\", wanted \"auto\", \"cpu\" or \"cuda\""), "{text}");
    let text = message(parse("label = \"Dr. Who\"", &[], &[]));
    assert!(text.contains("label: got Dr. Who"), "{text}");
    assert!(message(parse("", &[], &[("train.learning_rate", "nan")])).contains("train.learning_rate"));
}

#[test]
fn keys_that_others_could_read_are_refused() {
    use std::os::unix::fs::PermissionsExt;
    let (_dir, home) = home();
    assert_eq!(std::fs::metadata(home.author_key()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(keys::author(&home.author_key()).is_ok() && keys::transport(&home.transport_key()).is_ok());
    std::fs::set_permissions(home.author_key(), std::fs::Permissions::from_mode(0o640)).unwrap();
    let text = keys::author(&home.author_key()).unwrap_err().to_string();
    assert!(text.contains("mode 640, wanted 600") && text.contains("chmod 600"), "{text}");
    std::fs::write(home.transport_key(), "zz\n").unwrap();
    assert!(keys::transport(&home.transport_key()).unwrap_err().to_string().contains("64 hexadecimal digits"));
}

#[test]
fn a_home_is_never_overwritten() {
    let (_dir, home) = home();
    let before = std::fs::read(home.author_key()).unwrap();
    let error = Home::create(home.root(), "").unwrap_err();
    assert!(matches!(error, HomeError::Taken { .. }), "{error}");
    assert_eq!(std::fs::read(home.author_key()).unwrap(), before);
}

#[test]
fn an_option_of_the_template_can_be_set() {
    let text = template("north", None, None);
    let text = set_in(&text, "train.batch", "4").unwrap();
    let text = set_in(&text, "train.trainer", "fake").unwrap();
    let text = set_in(&text, "train.batch", "8").unwrap();
    let text = set_in(&text, "label", "south").unwrap();
    let config = parse(&text, &[], &[]).unwrap();
    assert_eq!((config.train.batch_size, config.trainer, config.label.as_str()), (8, TrainerKind::Fake, "south"));
    assert_eq!(set_in(&text, "train.nothing", "1"), None);
}
