package oms.connect;

import java.util.ArrayList;
import java.util.Collection;
import java.util.Date;
import java.util.List;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;

/**
 * The columns of one schema. A field is a column; the fields of an inner record are columns named OUTER_INNER; a list of
 * plain values stays a list; a map, or a list of records, becomes a column of JSON.
 */
final class Shape {
    /** The sink makes columns of type json of it. */
    private static final String JSON = "io.debezium.data.Json";

    private static final long YEAR_1_MS = -62_135_596_800_000L;
    private static final long YEAR_10000_MS = 253_402_300_800_000L;

    private enum Kind { PLAIN, LIST, JSON }

    private record Column(List<Field> path, String name, Kind kind) {}

    private final Schema schema;
    private final List<Column> columns = new ArrayList<>();

    Shape(Schema from) {
        SchemaBuilder builder = SchemaBuilder.struct().name(from.name()).version(from.version());
        add(builder, from, List.of(), "", false);
        schema = builder.build();
    }

    Schema schema() {
        return schema;
    }

    Struct row(Struct value) {
        Struct row = new Struct(schema);
        for (Column column : columns) {
            Object found = value;
            for (Field field : column.path()) {
                found = found == null ? null : ((Struct) found).get(field);
            }
            if (found != null) {
                row.put(column.name(), converted(column, found));
            }
        }
        return row;
    }

    /** Refuses text that PostgreSQL does not take. */
    static void text(String where, String text) {
        if (text.indexOf('\0') >= 0) {
            throw new DataException(where + " holds a NUL character");
        }
    }

    private void add(SchemaBuilder builder, Schema from, List<Field> path, String prefix, boolean optional) {
        for (Field field : from.fields()) {
            Schema type = field.schema();
            List<Field> deeper = new ArrayList<>(path);
            deeper.add(field);
            String name = prefix + field.name();
            boolean nullable = optional || type.isOptional();
            if (type.type() == Schema.Type.STRUCT) {
                add(builder, type, deeper, name + "_", nullable);
                continue;
            }
            Kind kind = kindOf(type);
            columns.add(new Column(deeper, name, kind));
            builder.field(name, columnType(type, kind, nullable));
        }
    }

    private static Kind kindOf(Schema type) {
        return switch (type.type()) {
            case MAP -> Kind.JSON;
            case ARRAY -> type.valueSchema().type().isPrimitive() ? Kind.LIST : Kind.JSON;
            default -> Kind.PLAIN;
        };
    }

    /** No defaults: a column is what the record says. */
    private static Schema columnType(Schema type, Kind kind, boolean nullable) {
        SchemaBuilder builder = switch (kind) {
            case JSON -> SchemaBuilder.string().name(JSON).version(1);
            case LIST -> SchemaBuilder.array(type.valueSchema());
            case PLAIN -> SchemaBuilder.type(type.type()).name(type.name()).version(type.version());
        };
        if (kind == Kind.PLAIN && type.parameters() != null) {
            builder.parameters(type.parameters());
        }
        return nullable ? builder.optional().build() : builder.build();
    }

    private static Object converted(Column column, Object found) {
        switch (column.kind()) {
            case JSON -> {
                String json = Json.text(found);
                if (json.contains("\\u0000")) {
                    throw new DataException(column.name() + " holds a NUL character");
                }
                return json;
            }
            case LIST -> {
                for (Object item : (Collection<?>) found) {
                    if (item instanceof String text) {
                        text(column.name(), text);
                    }
                }
                return found;
            }
            default -> {
                if (found instanceof String text) {
                    text(column.name(), text);
                } else if (found instanceof Date time && !isTime(time)) {
                    throw new DataException(column.name() + " is a time outside the years 1 to 9999");
                }
                return found;
            }
        }
    }

    private static boolean isTime(Date time) {
        return time.getTime() >= YEAR_1_MS && time.getTime() < YEAR_10000_MS;
    }
}
