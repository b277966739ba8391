-- What other filters count.
{schema}.jobs
