//! Reads pages raw, some thousand at a time, and keeps what was deleted on them.

use std::collections::HashMap;

use super::tuple::Readable;
use super::{DeadTuples, Tuple};
use crate::evidence::EvidenceError;
use crate::ident::{Key, TableName, quote_literal};
use crate::pg::PgError;

/// Pages that one statement reads.
const PAGES_A_QUESTION: i64 = 2_048;

struct Leaf {
    oid: i64,
    /// Quoted.
    name: String,
    pages: i64,
}

impl DeadTuples {
    pub(super) async fn read(&mut self) -> Result<(), EvidenceError> {
        for (name, key) in &self.tables {
            let mut tuples = HashMap::new();
            for leaf in self.leaves(name).await? {
                self.leaf(&leaf, key, &mut tuples).await?;
            }
            self.found.insert(name.clone(), tuples);
        }
        Ok(())
    }

    /// The tables that hold the rows of `name`.
    async fn leaves(&self, name: &TableName) -> Result<Vec<Leaf>, PgError> {
        let sql = format!(
            "select c.oid::int8, format('%I.%I', n.nspname, c.relname),
                    pg_relation_size(c.oid) / current_setting('block_size')::int8
               from (select relid from pg_partition_tree({0}::regclass) where isleaf
                     union select {0}::regclass) l
               join pg_class c on c.oid = l.relid join pg_namespace n on n.oid = c.relnamespace
              where c.relkind = 'r' order by 2",
            quote_literal(&name.sql())
        );
        let rows = self
            .live
            .ask(&format!("looking at {name}"), &sql, &[])
            .await?;
        let mut leaves = Vec::new();
        for row in &rows {
            leaves.push(Leaf {
                oid: row.get(0),
                name: row.get(1),
                pages: row.get(2),
            });
        }
        Ok(leaves)
    }

    async fn leaf(
        &self,
        leaf: &Leaf,
        key: &[(String, Readable)],
        tuples: &mut HashMap<Key, Vec<Tuple>>,
    ) -> Result<(), EvidenceError> {
        let places = self.places(leaf, key).await?;
        let doing = format!("reading pages of {}", leaf.name);
        let mut first = 0;
        while first < leaf.pages {
            let last = (first + PAGES_A_QUESTION).min(leaf.pages) - 1;
            let sql = self.question(leaf, first, last, &places);
            for row in self.live.ask(&doing, &sql, &[]).await? {
                let little_endian: bool = row.get(0);
                if !little_endian {
                    return Err(EvidenceError::DeadTuples {
                        reason: "live runs on a big-endian machine, whose pages are not read here"
                            .into(),
                    });
                }
                let bytes: Vec<Option<Vec<u8>>> = row.get(3);
                let values: Option<Vec<String>> = key
                    .iter()
                    .zip(&bytes)
                    .map(|((_, r), b)| r.text(b.as_deref()?))
                    .collect();
                let Some(values) = values else { continue };
                let xid = |i| u32::try_from(row.get::<_, i64>(i)).unwrap_or_default();
                tuples.entry(Key(values)).or_default().push(Tuple {
                    inserted_by: xid(1),
                    deleted_by: xid(2),
                });
            }
            first = last + 1;
        }
        Ok(())
    }

    /// Where the key's columns stand in a table's rows; a partition may have them in another order.
    async fn places(&self, leaf: &Leaf, key: &[(String, Readable)]) -> Result<Vec<i32>, PgError> {
        let mut places = Vec::with_capacity(key.len());
        for (name, _) in key {
            let sql = format!(
                "select attnum::int4 from pg_attribute where attrelid = {} and attname = {} and not attisdropped",
                leaf.oid,
                quote_literal(name)
            );
            let rows = self
                .live
                .ask(&format!("looking at {}", leaf.name), &sql, &[])
                .await?;
            places.extend(rows.first().map(|r| r.get::<_, i32>(0)));
        }
        Ok(places)
    }

    /// Rows deleted (not updated, not only locked, not moved to another partition) by a transaction that was committed.
    /// The flags are those of `htup_details.h`; a page's version stands at byte 18.
    fn question(&self, leaf: &Leaf, first: i64, last: i64, places: &[i32]) -> String {
        let e = &self.extension;
        let attributes: Vec<String> = places.iter().map(|p| format!("d.a[{p}]")).collect();
        format!(
            "with now as (select pg_snapshot_xmax(pg_current_snapshot())::text::numeric as x),
                  page as materialized (
                    select b, {e}.get_raw_page({name}, 'main', b) as p from generate_series({first}::int4, {last}::int4) b),
                  dead as (
                    select p.b, get_byte(p.p, 18) = 4 as le, i.t_xmin::text::int8 as ins, i.t_xmax::text::int8 as del,
                           i.t_data, i.t_infomask, i.t_infomask2, i.t_bits
                      from page p, lateral {e}.heap_page_items(p.p) i
                     where i.lp_flags = 1 and i.t_data is not null and i.t_xmax::text::int8 > 2
                       and (i.t_infomask & 128) = 0 and (i.t_infomask & 2048) = 0 and (i.t_infomask & 4096) = 0
                       and i.t_ctid = format('(%s,%s)', p.b, i.lp)::tid)
             select le, ins, del, array[{attributes}]
               from (select dead.*, now.x - mod(now.x, 4294967296) + del
                            - case when mod(now.x, 4294967296) < del then 4294967296 else 0 end as full_xid
                       from dead, now) s,
                    lateral (select {e}.tuple_data_split({oid}::oid, t_data, t_infomask, t_infomask2, t_bits) as a) d
              where full_xid > 0 and pg_xact_status(full_xid::text::xid8) = 'committed'",
            name = quote_literal(&leaf.name),
            oid = leaf.oid,
            attributes = attributes.join(", "),
        )
    }
}
