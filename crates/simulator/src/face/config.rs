//! A.22: config sync, under today's path and the old one.
//!
//! The schema leaves open what its 304, 409 and 412 are for. Here: the digest is the `ETag`; `If-None-Match`
//! with it gives a 304; `If-Match` with another gives a 412 to a PUT; and until the customer has enabled
//! syncing (`protocolSettings`, spec B.6) there is nothing to read, 404, and nothing to write to, 409. Before
//! the first PUT the config is empty, and as old as its resource.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::{Deserialize, Serialize};

use crate::Inner;
use crate::derive::digest;
use crate::face::resources::live;
use crate::face::routes::Ids;
use crate::face::{Answer, Call, authorize};
use crate::model::{Config, Resource};
use crate::refusal::{Refusal, empty_response, json_response};
use crate::rules::{A22_BODY, A22_MATCH, A22_NOT_READ, A22_NOT_WRITTEN, Rule};
use crate::wire::{Open, ProtocolSettings, read};
use crate::world::World;

/// The config as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    items: &'a Open,
    /// In milliseconds.
    updated_at: i64,
    digest: &'a str,
    purpose: &'static str,
}

fn syncing<'a>(world: &'a World, ids: &Ids, otherwise: Rule) -> Result<&'a Resource, Refusal> {
    let row = live(world, ids.at(0), ids.at(1))?;
    let is_on = row.protocol_settings.as_ref().is_some_and(ProtocolSettings::is_syncing);
    if is_on { Ok(row) } else { Err(otherwise.refuse()) }
}

fn config_of(data: Open, row: &Resource, now: jiff::Timestamp) -> Result<Config, Refusal> {
    let text = serde_json::to_string(&data).map_err(|error| Refusal::internal(format!("the config: {error}")))?;
    Ok(Config {
        installation_id: row.installation_id.clone(),
        resource_id: row.id.clone(),
        digest: digest(&text),
        data,
        updated_at: now,
    })
}

fn current(world: &World, row: &Resource) -> Result<Config, Refusal> {
    match world.configs.get(&format!("{}/{}", row.installation_id, row.id)) {
        Some(config) => Ok(config.clone()),
        None => config_of(Open::default(), row, row.created_at),
    }
}

/// Whether a conditional header names the digest; `None` without the header.
fn names(headers: &HeaderMap, name: header::HeaderName, digest: &str) -> Option<bool> {
    let mut values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).peekable();
    values.peek()?;
    let tag = |text: &str| text.trim().trim_start_matches("W/").trim_matches('"').to_owned();
    Some(values.flat_map(|value| value.split(',')).map(tag).any(|tag| tag == "*" || tag == digest))
}

fn tagged(mut response: Response<Bytes>, config: &Config) -> Response<Bytes> {
    let tag = HeaderValue::from_str(&format!("\"{}\"", config.digest));
    response.headers_mut().extend(tag.ok().map(|tag| (header::ETAG, tag)));
    response
}

fn shown(config: &Config) -> Response<Bytes> {
    let view = View {
        items: &config.data,
        updated_at: config.updated_at.as_millisecond(),
        digest: &config.digest,
        purpose: "experimentation",
    };
    tagged(json_response(StatusCode::OK, &view), config)
}

/// GET and HEAD, whose body is not sent.
pub(crate) fn get(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    simulator.store.read(|world| {
        authorize(world, call, ids.at(0))?;
        let config = current(world, syncing(world, ids, A22_NOT_READ)?)?;
        if names(&call.headers, header::IF_NONE_MATCH, &config.digest) == Some(true) {
            return Ok(tagged(empty_response(StatusCode::NOT_MODIFIED), &config));
        }
        Ok(shown(&config))
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutBody {
    data: Open,
}

/// PUT replaces the whole config. The same data again leaves it as old as it was.
pub(crate) fn put(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, ids.at(0))?;
        let row = syncing(world, ids, A22_NOT_WRITTEN)?;
        let PutBody { data } = read(A22_BODY, &call.body)?;
        let old = current(world, row)?;
        if names(&call.headers, header::IF_MATCH, &old.digest) == Some(false) {
            return Err(A22_MATCH.because(&old.digest));
        }
        let mut config = config_of(data, row, call.now)?;
        if config.digest == old.digest {
            config.updated_at = old.updated_at;
        }
        world.configs.put(&format!("{}/{}", ids.at(0), ids.at(1)), config.clone());
        Ok(shown(&config))
    })
}
