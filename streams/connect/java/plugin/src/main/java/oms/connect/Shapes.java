package oms.connect;

import java.util.IdentityHashMap;
import java.util.Map;
import org.apache.kafka.connect.data.Schema;

/** The shapes of the schemas seen so far. The converter hands out one object per schema, as long as it remembers it. */
final class Shapes {
    private static final int MOST = 100;

    private final Map<Schema, Shape> known = new IdentityHashMap<>();

    Shape of(Schema schema) {
        Shape shape = known.get(schema);
        if (shape == null) {
            if (known.size() >= MOST) {
                known.clear();
            }
            shape = new Shape(schema);
            known.put(schema, shape);
        }
        return shape;
    }

    void clear() {
        known.clear();
    }
}
