-- Somebody signs in; now and then they change their address too, which updates a uniquely indexed column of a
-- row that other people's restored files may reference.
\set user random(1, :users)
\set stamp random(1, 1000000)
\set change_address random(1, 20) = 1
update users set sign_in_count = sign_in_count + 1, last_sign_in_at = clock_timestamp(), updated_at = clock_timestamp()
where id = :user;
\if :change_address
update users set email = 'user' || :user || '+' || :stamp || '@example.org', updated_at = clock_timestamp()
where id = :user;
\endif
