        json_array(number, id, name, subject, time, data)
