package oms.connect;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;

/** Nested values as JSON text: times as ISO 8601 in UTC, the keys of a map in order. */
final class Json {
    private static final ObjectMapper MAPPER = new ObjectMapper();

    private Json() {}

    static String text(Object value) {
        try {
            return MAPPER.writeValueAsString(plain(value));
        } catch (JsonProcessingException error) {
            throw new DataException("cannot be written as JSON", error);
        }
    }

    private static Object plain(Object value) {
        if (value instanceof Struct record) {
            Map<String, Object> found = new LinkedHashMap<>();
            for (Field field : record.schema().fields()) {
                found.put(field.name(), plain(record.get(field)));
            }
            return found;
        }
        if (value instanceof Map<?, ?> map) {
            Map<String, Object> found = new TreeMap<>();
            map.forEach((key, item) -> found.put(String.valueOf(key), plain(item)));
            return found;
        }
        if (value instanceof Collection<?> list) {
            List<Object> found = new ArrayList<>(list.size());
            list.forEach(item -> found.add(plain(item)));
            return found;
        }
        return value instanceof Date time ? time.toInstant().toString() : value;
    }
}
