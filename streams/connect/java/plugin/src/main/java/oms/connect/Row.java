package oms.connect;

import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.ConnectRecord;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.transforms.Transformation;

/**
 * Makes a record one row of a table: flat columns, and nothing that PostgreSQL would refuse.
 *
 * <p>A record that the database refuses ends the task, and the next one too; what is thrown here makes it a dead letter.
 * Hence the checks: there must be a key, equal to the field key.field of the value; no text may hold a NUL; times must be
 * in the years 1 to 9999. Tombstones pass: they delete. How columns follow from fields: see {@link Shape}. The key, a text
 * in the topic, becomes a record of one field: the sink takes no other.
 */
public class Row<R extends ConnectRecord<R>> implements Transformation<R> {
    private static final String KEY_FIELD = "key.field";

    private final Shapes shapes = new Shapes();
    private String keyField;
    private Schema keySchema;

    @Override
    public void configure(Map<String, ?> settings) {
        keyField = String.valueOf(settings.get(KEY_FIELD));
        keySchema = SchemaBuilder.struct().field(keyField, Schema.STRING_SCHEMA).build();
    }

    @Override
    public ConfigDef config() {
        return new ConfigDef()
                .define(KEY_FIELD, ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "Field that the key repeats.");
    }

    @Override
    public R apply(R record) {
        if (!(record.key() instanceof String key) || key.isEmpty()) {
            throw new DataException("no key: which row is meant?");
        }
        Shape.text("the key", key);
        if (record.value() == null) {
            return made(record, key, record.valueSchema(), null);
        }
        if (!(record.value() instanceof Struct value)) {
            throw new DataException("the value is no record");
        }
        if (!key.equals(value.get(keyField))) {
            throw new DataException("the key is not the value's " + keyField);
        }
        Shape shape = shapes.of(value.schema());
        return made(record, key, shape.schema(), shape.row(value));
    }

    private R made(R record, String key, Schema schema, Object row) {
        return record.newRecord(
                record.topic(),
                record.kafkaPartition(),
                keySchema,
                new Struct(keySchema).put(keyField, key),
                schema,
                row,
                record.timestamp());
    }

    @Override
    public void close() {
        shapes.clear();
    }
}
