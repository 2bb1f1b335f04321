-- A copy reads no bus, writes to no meter, and carries out no order.
UPDATE energy_gateway SET active = FALSE, armed_identity = NULL, cut_release_identity = NULL;

UPDATE energy_gateway_status SET lease_holder = NULL, lease_until = NULL;

UPDATE energy_command
   SET state = 'failed', error = 'Neutralized database', done_at = energy_now()
 WHERE state IN ('queued', 'sent');
