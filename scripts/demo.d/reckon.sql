-- The independent proof: did every deleted row that the backup holds come back with the backup's content?
-- Reads "side<TAB>table<TAB>id<TAB>digest<TAB>edited" lines on standard input, side being `deleted` (the
-- notebook of the loss), `backup` or `live`. Wants `since`, the time at which the restore began: a row that the
-- workload has edited after that is back as well, and says so by its updated_at.
\pset footer off
create temp table seen (side text, tbl text, id bigint, digest text, edited timestamptz);
\copy seen from pstdin

create temp view reckoning as
select tbl, id, lost.digest as lost, backup.digest as backup,
       case when backup.digest is null then 'born after the backup'
            when live.digest is null then 'missing'
            when live.digest = backup.digest then 'identical'
            when live.edited >= :'since' then 'edited since its return'
            else 'different' end as outcome
from (select * from seen where side = 'deleted') lost
left join (select * from seen where side = 'backup') backup using (tbl, id)
left join (select * from seen where side = 'live') live using (tbl, id);

create temp table per_table as
select tbl as "table", count(*) as deleted,
       count(*) filter (where outcome = 'born after the backup') as "not in backup",
       count(backup) as "in backup",
       count(*) filter (where outcome = 'identical') as "identical",
       count(*) filter (where outcome = 'edited since its return') as "edited since",
       count(*) filter (where outcome = 'missing') as missing,
       count(*) filter (where outcome = 'different') as different,
       count(*) filter (where backup <> lost) as "lost an edit"
from reckoning group by tbl order by tbl;

select * from per_table
union all
select 'total', sum(deleted), sum("not in backup"), sum("in backup"), sum("identical"),
       sum("edited since"), sum(missing), sum(different), sum("lost an edit")
from per_table;

-- One line for the script: table rows that did not come back, that did, lost edits, unknowable rows.
\pset format unaligned
\pset tuples_only on
select 'RECKONING', count(*) filter (where outcome in ('missing', 'different')),
       count(*) filter (where outcome in ('identical', 'edited since its return')),
       count(*) filter (where outcome in ('identical', 'edited since its return') and tbl = 'dossiers'),
       count(*) filter (where backup <> lost),
       count(*) filter (where outcome = 'born after the backup')
from reckoning;
