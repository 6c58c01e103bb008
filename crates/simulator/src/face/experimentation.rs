//! A.21: experimentation items. Creating one that is there replaces it, so that a batch can be sent again.

use http::StatusCode;
use serde::Deserialize;

use crate::Inner;
use crate::face::resources::live;
use crate::face::routes::Ids;
use crate::face::{Answer, Call, authorize, key};
use crate::model::{Item, ROWS_EACH_MAX};
use crate::refusal::{Refusal, empty_response};
use crate::rules::{A21_BODY, A21_ITEM, A21_LONG, A21_MANY, LIMIT_ROWS};
use crate::wire::{Number, read};

/// The most items of one batch.
const BATCH_ITEMS_MAX: usize = 50;
/// The most characters of an id, a slug, a name or a description.
const TEXT_CHARS_MAX: usize = 1_024;
/// The most characters of an origin.
const ORIGIN_CHARS_MAX: usize = 2_048;

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Category {
    Experiment,
    Flag,
}

impl Category {
    fn name(self) -> String {
        match self {
            Self::Experiment => "experiment",
            Self::Flag => "flag",
        }
        .to_owned()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CreateBody {
    items: Vec<NewItem>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct NewItem {
    id: String,
    slug: String,
    origin: String,
    category: Option<Category>,
    name: Option<String>,
    description: Option<String>,
    is_archived: Option<bool>,
    created_at: Option<Number>,
    updated_at: Option<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateBody {
    slug: String,
    origin: String,
    name: Option<String>,
    category: Option<Category>,
    description: Option<String>,
    is_archived: Option<bool>,
    created_at: Option<Number>,
    updated_at: Option<Number>,
}

fn check_text(field: &str, text: Option<&str>, most: usize) -> Result<(), Refusal> {
    let count = text.unwrap_or_default().chars().count();
    if count > most {
        Err(A21_LONG.because(format!("`{field}` has {count} characters, at most {most}")))
    } else {
        Ok(())
    }
}

fn check_texts(slug: &str, origin: &str, name: Option<&str>, description: Option<&str>) -> Result<(), Refusal> {
    check_text("slug", Some(slug), TEXT_CHARS_MAX)?;
    check_text("origin", Some(origin), ORIGIN_CHARS_MAX)?;
    check_text("name", name, TEXT_CHARS_MAX)?;
    check_text("description", description, TEXT_CHARS_MAX)
}

/// Creates or replaces up to 50 items.
pub(crate) fn create(simulator: &Inner, call: &Call, id: &str, resource_id: &str) -> Answer {
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let CreateBody { items } = read(A21_BODY, &call.body)?;
        if items.len() > BATCH_ITEMS_MAX {
            return Err(A21_MANY.because(items.len()));
        }
        for item in &items {
            check_text("id", Some(&item.id), TEXT_CHARS_MAX)?;
            check_texts(&item.slug, &item.origin, item.name.as_deref(), item.description.as_deref())?;
        }
        if world.items.under(&format!("{id}/")).count() + items.len() > ROWS_EACH_MAX {
            return Err(LIMIT_ROWS.because("experimentation items"));
        }
        for item in items {
            let row = Item {
                installation_id: id.to_owned(),
                resource_id: resource_id.to_owned(),
                id: item.id.clone(),
                slug: item.slug,
                origin: item.origin,
                category: item.category.map(Category::name),
                name: item.name,
                description: item.description,
                is_archived: item.is_archived,
                created_at: item.created_at,
                updated_at: item.updated_at,
            };
            world.items.put(&key((id, resource_id), &[&item.id]), row);
        }
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

/// `{installation}/{resource}/{item}`: changes an item; what is not said stays.
pub(crate) fn update(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    let (id, resource_id) = (ids.at(0), ids.at(1));
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let body: UpdateBody = read(A21_BODY, &call.body)?;
        check_texts(&body.slug, &body.origin, body.name.as_deref(), body.description.as_deref())?;
        let known = world.items.update(&key((id, resource_id), &[ids.at(2)]), |row| {
            row.slug = body.slug;
            row.origin = body.origin;
            row.category = body.category.map(Category::name).or(row.category.take());
            row.name = body.name.or(row.name.take());
            row.description = body.description.or(row.description.take());
            row.is_archived = body.is_archived.or(row.is_archived);
            row.created_at = body.created_at.or(row.created_at.take());
            row.updated_at = body.updated_at.or(row.updated_at.take());
        });
        known.ok_or_else(|| A21_ITEM.refuse())?;
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}

/// `{installation}/{resource}/{item}`: removes an item.
pub(crate) fn delete(simulator: &Inner, call: &Call, ids: &Ids) -> Answer {
    let (id, resource_id) = (ids.at(0), ids.at(1));
    simulator.store.write(|world| {
        authorize(world, call, id)?;
        live(world, id, resource_id)?;
        let key = key((id, resource_id), &[ids.at(2)]);
        world.items.get(&key).ok_or_else(|| A21_ITEM.refuse())?;
        world.items.remove(&key);
        Ok(empty_response(StatusCode::NO_CONTENT))
    })
}
