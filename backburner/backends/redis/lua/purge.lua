-- Delete dead letters. See disposing.
-- include tables
-- include uniques
-- include deleting
-- include disposing

local function purge(id, token)
    local run = dead_run(id, token)
    if not run then
        return ""
    end
    local job = read_job(id)
    local parent = job.parent and read_job(job.parent)
    if parent and find("pr", read_run(parent).state, 1, true) then
        return job.parent
    end
    repeat
        local children = let_children_go(id, MOST)
    until children < MOST
    tell_purged(job, run, "purged")
    delete(id, job, "d" .. run.ended .. id)
end

even_if_full(LINE)
return dispose(purge)
