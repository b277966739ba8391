            pattern.value IN ('*', event.name)
            OR (substr(pattern.value, -2) = '.*'
                AND substr(event.name, 1, length(pattern.value) - 1)
                    = substr(pattern.value, 1, length(pattern.value) - 1))
