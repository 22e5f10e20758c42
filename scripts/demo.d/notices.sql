-- The notices of a document that is lost of a dossier that is still open, and of one that is closed: as the owner and as the official would
-- see them.
select distinct on (open, audience)
       case when open then 'a file still open' else 'a closed file' end || ', to the ' || audience, trim(text)
from (select d.id, d.state in ('brouillon', 'en_construction') as open, f.notice
      from reinstate.flagged_record f join dossiers d on f.owner_table = 'public.dossiers' and d.id::text = f.owner_key) marked,
     jsonb_each_text(notice) as told (audience, text)
order by open desc, audience, id;
