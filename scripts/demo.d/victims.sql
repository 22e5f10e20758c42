-- The files the runaway loop will reach: about one in 23, all over the id range, whoever they belong to,
-- those born this very day included. (Only the choice is the demo's; the deletion is the application's.)
select id from dossiers where user_id <> 1 and hashint8(id) & 1023 < 44 order by id;
