//! How gossipsub is set up.
//!
//! Messages are anonymous: a record or a presence carries its author's signature already, so a second one per hop would
//! cost two Ed25519 operations and 130 bytes and prove nothing that counts. Their id is BLAKE3 of the data, so the same
//! record counts once, whoever announces it again.

use std::{collections::HashMap, time::Duration};

use chorale_protocol::base::limit;
use libp2p::gossipsub::{
    Behaviour, ConfigBuilder, IdentityTransform, MaxCountSubscriptionFilter, Message, MessageAuthenticity, MessageId,
    PeerScoreParams, PeerScoreThresholds, TopicScoreParams, ValidationMode, WhitelistSubscriptionFilter,
};

use super::{NetError, topic::Topics};

/// Gossipsub that knows our two topics only.
pub(super) type Gossip = Behaviour<IdentityTransform, MaxCountSubscriptionFilter<WhitelistSubscriptionFilter>>;

/// Room for the topic and the frames around one message.
const SLACK: usize = 512;
/// Ids in one list of messages that we have or want.
const IDS: usize = 400;
/// Lists of ids in one frame: [`IDS`] of 34 bytes each, and some more.
const CONTROL: usize = 16 * 1024;
/// What gossipsub's reader takes from a stream at once. It compares the whole of what it has read with the transmit size,
/// the next messages included (0.50.1, `validate_rpc_limits`), and never reads again from a peer for which that is too much:
/// a frame cut short and a full read behind it must fit. Messages are bounded by their topic.
const READ: usize = 8 * 1024;
/// One beat keeps the mesh and gossips ids; messages travel at once.
const HEARTBEAT: Duration = Duration::from_millis(500);
/// Beats that a message waits for its verdict, at least.
const VERDICT_BEATS: usize = 24;

/// Below this a peer hears no ids from us.
pub(super) const GOSSIP_THRESHOLD: f64 = -40.0;

/// A gossipsub behaviour, subscribed to both topics.
///
/// The mesh holds everybody in a network of up to nine members (`mesh_n_low` 8), and 8 to 14 in larger ones; own messages
/// go to every subscriber at once (`flood_publish`).
pub(super) fn gossip(topics: &Topics) -> Result<Gossip, NetError> {
    let setup = |why: &dyn std::fmt::Display| NetError::Setup(format!("gossip: {why}"));
    let names = topics.all().map(|topic| topic.hash());
    let mut config = ConfigBuilder::default();
    for name in &names {
        config.max_transmit_size_for_topic(limit::GOSSIP_BYTES + SLACK, name.clone());
    }
    let config = config
        .validate_messages()
        .validation_mode(ValidationMode::Anonymous)
        .message_id_fn(|message: &Message| MessageId::new(blake3::hash(&message.data).as_bytes()))
        .max_transmit_size(CONTROL + SLACK + READ)
        .max_control_message_size(CONTROL)
        .max_control_messages_sent(IDS)
        .heartbeat_interval(HEARTBEAT)
        .heartbeat_initial_delay(HEARTBEAT)
        .history_length(VERDICT_BEATS)
        .history_gossip(6)
        .mesh_n(10)
        .mesh_n_low(8)
        .mesh_n_high(14)
        .mesh_outbound_min(3)
        .flood_publish(true)
        .prune_backoff(Duration::from_secs(15))
        .connection_handler_queue_len(512)
        .publish_queue_duration(Duration::from_secs(10))
        .forward_queue_duration(Duration::from_secs(10))
        .max_ihave_messages_heartbeat(10)
        .build()
        .map_err(|error| setup(&error))?;
    let filter = MaxCountSubscriptionFilter {
        filter: WhitelistSubscriptionFilter(names.into_iter().collect()),
        max_subscribed_topics: 2,
        max_subscriptions_per_request: 4,
    };
    let mut gossip = Behaviour::new_with_subscription_filter(MessageAuthenticity::Anonymous, config, filter)
        .map_err(|error| setup(&error))?;
    gossip.with_peer_score(score(topics), thresholds()).map_err(|error| setup(&error))?;
    for topic in topics.all() {
        gossip.subscribe(topic).map_err(|error| setup(&error))?;
    }
    Ok(gossip)
}

/// One rejected message costs 10, two cost 40, three cost 90 (forgotten by half in 4 minutes); a penalty of the engine's
/// costs 10. Traffic is sparse, so silence costs nothing; many members may share one address.
fn score(topics: &Topics) -> PeerScoreParams {
    let topic = TopicScoreParams {
        topic_weight: 1.0,
        time_in_mesh_weight: 0.01,
        time_in_mesh_quantum: Duration::from_secs(1),
        time_in_mesh_cap: 300.0,
        first_message_deliveries_weight: 0.2,
        first_message_deliveries_decay: 0.99,
        first_message_deliveries_cap: 20.0,
        mesh_message_deliveries_weight: 0.0,
        mesh_failure_penalty_weight: 0.0,
        invalid_message_deliveries_weight: -10.0,
        invalid_message_deliveries_decay: 0.997,
        ..TopicScoreParams::default()
    };
    PeerScoreParams {
        topics: topics.all().into_iter().map(|name| (name.hash(), topic.clone())).collect::<HashMap<_, _>>(),
        topic_score_cap: 20.0,
        app_specific_weight: 1.0,
        ip_colocation_factor_weight: 0.0,
        behaviour_penalty_weight: -1.0,
        behaviour_penalty_threshold: 6.0,
        behaviour_penalty_decay: 0.99,
        retain_score: Duration::from_secs(3600),
        ..PeerScoreParams::default()
    }
}

fn thresholds() -> PeerScoreThresholds {
    PeerScoreThresholds {
        gossip_threshold: GOSSIP_THRESHOLD,
        publish_threshold: -60.0,
        graylist_threshold: -100.0,
        ..PeerScoreThresholds::default()
    }
}
