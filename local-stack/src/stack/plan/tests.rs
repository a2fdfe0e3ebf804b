//! What the services are told.

use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: StackConfig,
}

fn plan(line: &str) -> Vec<Planned> {
    let config = Cli::try_parse_from(std::iter::once("run").chain(line.split_whitespace())).unwrap().config;
    let wiring = Wiring {
        programs: "/bin-folder".into(),
        log_dir: "/log".into(),
        addresses: Addresses {
            nats: "nats://n".to_owned(),
            redis: "redis://r".to_owned(),
            database: "postgres://p:secret@d".to_owned(),
        },
        jwt_secret: "hush".to_owned(),
    };
    let gateways = (0..config.gateways).map(|_| Reservation::any().unwrap()).collect();
    services(&config, &wiring, gateways).unwrap().0
}

fn value_of<'a>(planned: &'a Planned, flag: &str) -> Option<&'a str> {
    let args = &planned.recipe.launch.args;
    let at = args.iter().position(|arg| arg == flag)?;
    args[at + 1].to_str()
}

fn named<'a>(all: &'a [Planned], name: &str) -> &'a Planned {
    all.iter().find(|planned| planned.recipe.launch.name == name).unwrap()
}

#[test]
fn each_service_has_its_replicas_and_gateways_come_last() {
    let names: Vec<String> = plan("--gateways 2 --replicas 2").into_iter().map(|p| p.recipe.launch.name).collect();
    let expected = [
        "chat-service-0",
        "chat-service-1",
        "milestone-service-0",
        "milestone-service-1",
        "signaling-service-0",
        "signaling-service-1",
        "gateway-0",
        "gateway-1",
    ];
    assert_eq!(names, expected);
}

#[test]
fn a_gateway_is_told_of_every_replica() {
    let all = plan("--replicas 2");
    let gateway = named(&all, "gateway-0");
    for service in ["chat-service", "milestone-service", "signaling-service"] {
        let expected = [0, 1].map(|i| value_of(named(&all, &format!("{service}-{i}")), "--grpc-listen").unwrap());
        assert_eq!(value_of(gateway, &format!("--{service}")).unwrap(), expected.join(","));
    }
}

#[test]
fn each_service_is_told_what_it_needs_and_no_more() {
    let all = plan("--ring-timeout-s 3 --milestones-file m.yaml");
    let flags = |name: &str| -> Vec<String> {
        let args = named(&all, name).recipe.launch.args.iter();
        let mut flags: Vec<String> = args.step_by(2).map(|flag| flag.to_str().unwrap().to_owned()).collect();
        flags.retain(|flag| {
            !["--grpc-listen", "--health-listen", "--nats-url", "--shutdown-timeout-s"].contains(&&**flag)
        });
        flags
    };
    assert_eq!(flags("chat-service-0"), [""; 0]);
    assert_eq!(flags("milestone-service-0"), ["--redis-url", "--chat-service", "--milestones-file"]);
    assert_eq!(
        flags("signaling-service-0"),
        ["--redis-url", "--chat-service", "--milestone-service", "--ring-timeout-s"]
    );
    let peers = ["--chat-service", "--milestone-service", "--signaling-service"];
    assert_eq!(flags("gateway-0"), [&peers[..], &["--listen", "--cors-origins"]].concat());
}

#[test]
fn secrets_are_not_among_the_arguments() {
    for planned in plan("") {
        let arguments = format!("{:?}", planned.recipe.launch.args);
        assert!(!arguments.contains("secret") && !arguments.contains("hush"), "{arguments}");
    }
}

#[test]
fn variables_given_reach_every_service() {
    for planned in plan("--env RUST_LOG=debug --env A=b=c") {
        let env = &planned.recipe.launch.env;
        assert!(env.contains(&("RUST_LOG".to_owned(), "debug".into())));
        assert!(env.contains(&("A".to_owned(), "b=c".into())));
    }
}

#[test]
fn a_variable_given_wins_over_what_the_stack_sets() {
    let given = [
        ("CORS_ORIGINS", "--cors-origins"),
        ("SHUTDOWN_TIMEOUT_S", "--shutdown-timeout-s"),
        ("CHAT_SERVICE", "--chat-service"),
        ("NATS_URL", "--nats-url"),
        ("REDIS_URL", "--redis-url"),
        ("RING_TIMEOUT_S", "--ring-timeout-s"),
        ("MILESTONES_FILE", "--milestones-file"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "--otlp-endpoint"),
        ("JWT_SECRET", ""),
        ("SID_KEYS", ""),
        ("DATABASE_URL", ""),
        ("NO_COLOR", ""),
    ];
    for (variable, flag) in given {
        let flags = "--ring-timeout-s 3 --milestones-file m.yaml --otlp-endpoint http://o";
        for planned in plan(&format!("{flags} --env {variable}=first --env {variable}=mine")) {
            assert_eq!(value_of(&planned, flag), None, "{}", planned.name());
            let last = planned.recipe.launch.env.iter().rfind(|(name, _)| name == variable);
            assert_eq!(last.unwrap().1, "mine", "{}", planned.name());
        }
    }
}

#[test]
fn a_variable_without_a_name_and_one_that_each_process_has_of_its_own_are_refused() {
    for wrong in ["=x", "NAME", "A-B=x", "1A=x", "A B=x", "LISTEN=0.0.0.0:80", "GRPC_LISTEN=x", "HEALTH_LISTEN=x"] {
        assert!(Cli::try_parse_from(["run", "--env", wrong]).is_err(), "{wrong}");
    }
}

#[test]
fn who_may_send_more_may_do_so_in_one_match_unless_that_is_set_by_itself() {
    let limits = |line: &str| {
        let all = plan(line);
        let env = &named(&all, "chat-service-0").recipe.launch.env;
        let value = |wanted: &str| {
            let found = env.iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.to_str().unwrap().to_owned())
        };
        [value("LIMIT_SENDS_MATCH"), value("LIMIT_BYTES_MATCH")]
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(limits(""), [None, None]);
    assert_eq!(limits("--env LIMIT_SENDS=7/9"), [some("7/9"), some(UNLIMITED_BYTES)]);
    let own = limits("--env LIMIT_SENDS=7/9 --env LIMIT_SENDS_MATCH=1/2");
    assert_eq!(own, [some("1/2"), some(UNLIMITED_BYTES)]);
}
