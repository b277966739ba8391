-- How many hints have told of a lapse.
SELECT lapses FROM backburner_hints
