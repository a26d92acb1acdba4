package bench.job;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumReader;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.io.BinaryDecoder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.DecoderFactory;
import org.apache.avro.io.EncoderFactory;

/**
 * The benchmark's job in Java: folds one Avro order event into the stored state of its order.
 *
 * <p>The same rules as bench/job.py. An instance reuses its coders and belongs to one thread.
 */
public final class OrderFold {
  /** What one event makes of an order: the state to store and the record to publish. */
  public record Folded(byte[] stored, byte[] published) {}

  private static final int HEADER_BYTES = 5; // magic byte and schema id
  private static final byte[] STATE_HEADER = {0, 0, 0, 0, 2};
  private static final int REMEMBERED = 16;
  private static final int PAID = 1;

  private final Schema eventSchema = schema("order_event.avsc");
  private final Schema stateSchema = schema("order_state.avsc");
  private final Schema storedSchema = schema("stored_order.avsc");
  private final Schema typeSchema = eventSchema.getField("type").schema();

  // Positions are looked up once: access by name costs a hash lookup per field and event.
  private final int eventId = eventSchema.getField("event_id").pos();
  private final int eventGuid = eventSchema.getField("order_guid").pos();
  private final int eventType = eventSchema.getField("type").pos();
  private final int occurredAt = eventSchema.getField("occurred_at").pos();
  private final int amount = eventSchema.getField("amount").pos();
  private final int guid = storedSchema.getField("order_guid").pos();
  private final int status = storedSchema.getField("status").pos();
  private final int version = storedSchema.getField("version").pos();
  private final int updatedAt = storedSchema.getField("updated_at").pos();
  private final int paid = storedSchema.getField("paid").pos();
  private final int seen = storedSchema.getField("seen").pos();
  private final int anomaly = stateSchema.getField("anomaly").pos();

  private final GenericDatumReader<GenericRecord> eventReader = new GenericDatumReader<>(eventSchema);
  private final GenericDatumReader<GenericRecord> storedReader = new GenericDatumReader<>(storedSchema);
  private final GenericDatumWriter<GenericRecord> storedWriter = new GenericDatumWriter<>(storedSchema);
  private final GenericDatumWriter<GenericRecord> stateWriter = new GenericDatumWriter<>(stateSchema);
  private final ByteArrayOutputStream buffer = new ByteArrayOutputStream(512);
  private BinaryDecoder decoder;
  private BinaryEncoder encoder;

  /**
   * Folds the event of one Kafka value into the stored state, which is null for a new order.
   *
   * @return null when the order has seen the event before
   */
  public Folded fold(byte[] value, byte[] stored) {
    try {
      decoder = DecoderFactory.get().binaryDecoder(value, HEADER_BYTES, value.length - HEADER_BYTES, decoder);
      GenericRecord event = eventReader.read(null, decoder);
      GenericRecord order = stored == null ? newOrder(event) : decodeStored(stored);
      @SuppressWarnings("unchecked")
      List<CharSequence> ids = (List<CharSequence>) order.get(seen);
      CharSequence id = (CharSequence) event.get(eventId);
      if (ids.contains(id)) {
        return null;
      }
      ids.add(id);
      if (ids.size() > REMEMBERED) {
        ids.remove(0);
      }
      String found = advance(order, event);
      return new Folded(encode(order, storedWriter, false), encode(published(order, found), stateWriter, true));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Moves the order on and names what is odd about the event, if anything. */
  private String advance(GenericRecord order, GenericRecord event) {
    int rank = typeSchema.getEnumOrdinal(event.get(eventType).toString());
    int current = (Integer) order.get(status);
    order.put(status, Math.max(rank, current));
    order.put(version, (Integer) order.get(version) + 1);
    order.put(updatedAt, Math.max((Long) order.get(updatedAt), (Long) event.get(occurredAt)));
    if (rank == PAID) {
      order.put(paid, (Long) order.get(paid) + (Long) event.get(amount));
    }
    return rank > current + 1 ? "gap" : rank < current ? "late" : null;
  }

  private GenericRecord newOrder(GenericRecord event) {
    GenericRecord order = new GenericData.Record(storedSchema);
    order.put(guid, event.get(eventGuid));
    order.put(status, -1);
    order.put(version, 0);
    order.put(updatedAt, 0L);
    order.put(paid, 0L);
    order.put(seen, new ArrayList<CharSequence>());
    return order;
  }

  private GenericRecord decodeStored(byte[] stored) throws IOException {
    decoder = DecoderFactory.get().binaryDecoder(stored, decoder);
    return storedReader.read(null, decoder);
  }

  private GenericRecord published(GenericRecord order, String found) {
    GenericRecord state = new GenericData.Record(stateSchema);
    for (int field = 0; field < anomaly; field++) { // both schemas begin with the same five fields
      state.put(field, order.get(field));
    }
    state.put(anomaly, found);
    return state;
  }

  private byte[] encode(GenericRecord record, GenericDatumWriter<GenericRecord> writer, boolean header)
      throws IOException {
    buffer.reset();
    if (header) {
      buffer.write(STATE_HEADER);
    }
    encoder = EncoderFactory.get().binaryEncoder(buffer, encoder);
    writer.write(record, encoder);
    encoder.flush();
    return buffer.toByteArray();
  }

  private static Schema schema(String name) {
    try (InputStream stream = OrderFold.class.getResourceAsStream("/" + name)) {
      return new Schema.Parser().parse(stream);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
