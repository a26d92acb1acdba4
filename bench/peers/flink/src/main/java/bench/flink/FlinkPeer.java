package bench.flink;

import bench.job.Run;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.serialization.AbstractDeserializationSchema;
import org.apache.flink.api.common.serialization.SerializationSchema;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.api.common.typeinfo.Types;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.connector.base.DeliveryGuarantee;
import org.apache.flink.connector.kafka.sink.KafkaRecordSerializationSchema;
import org.apache.flink.connector.kafka.sink.KafkaSink;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;

/**
 * The job on Flink: parallelism 2, RocksDB, exactly once with a checkpoint every 10 s.
 *
 * <p>The source is bounded by the topic's end, so the job ends, with a last checkpoint, when all is published.
 */
public final class FlinkPeer {
  private static final int PARALLELISM = 2;
  private static final int GUID_LENGTH = 5; // position of the guid's length in a published state: first field after the header

  private FlinkPeer() {}

  public static void main(String[] args) throws Exception {
    StreamExecutionEnvironment environment =
        StreamExecutionEnvironment.createLocalEnvironment(PARALLELISM, settings());
    environment
        .fromSource(source(), WatermarkStrategy.noWatermarks(), "events")
        .keyBy(FlinkPeer::guidOfEvent, Types.STRING)
        .process(new FoldFunction())
        .returns(PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO)
        .sinkTo(sink());
    environment.execute("orders");
  }

  private static Configuration settings() {
    Configuration settings = new Configuration();
    settings.setString("state.backend.type", "rocksdb");
    settings.setString("execution.checkpointing.incremental", "true");
    settings.setString("execution.checkpointing.dir", "file://" + Run.STATE_DIR + "/checkpoints");
    settings.setString("execution.checkpointing.interval", "10 s");
    settings.setString("execution.checkpointing.mode", "EXACTLY_ONCE");
    settings.setString("taskmanager.memory.managed.size", "1g");
    settings.setString("io.tmp.dirs", Run.STATE_DIR);
    settings.setString("pipeline.object-reuse", "true"); // the job never changes what it was given
    return settings;
  }

  private static KafkaSource<byte[]> source() {
    return KafkaSource.<byte[]>builder()
        .setBootstrapServers(Run.BROKER)
        .setTopics(Run.SOURCE)
        .setGroupId(Run.ID)
        .setStartingOffsets(OffsetsInitializer.earliest())
        .setBounded(OffsetsInitializer.latest())
        .setValueOnlyDeserializer(new BytesIn())
        .build();
  }

  private static KafkaSink<byte[]> sink() {
    return KafkaSink.<byte[]>builder()
        .setBootstrapServers(Run.BROKER)
        .setDeliveryGuarantee(DeliveryGuarantee.EXACTLY_ONCE)
        .setTransactionalIdPrefix(Run.ID)
        .setProperty("transaction.timeout.ms", "120000")
        .setProperty("linger.ms", "5")
        .setRecordSerializer(
            KafkaRecordSerializationSchema.<byte[]>builder()
                .setTopic(Run.OUTPUT)
                .setKeySerializationSchema(new GuidOfState())
                .setValueSerializationSchema(new BytesOut())
                .build())
        .build();
  }

  /** The guid is the second field of an event and the lengths before it are one byte each. */
  private static String guidOfEvent(byte[] event) {
    int length = 6 + (event[5] >> 1);
    return new String(event, length + 1, event[length] >> 1, StandardCharsets.ISO_8859_1);
  }

  private static final class BytesIn extends AbstractDeserializationSchema<byte[]> {
    @Override
    public byte[] deserialize(byte[] message) {
      return message;
    }
  }

  private static final class BytesOut implements SerializationSchema<byte[]> {
    @Override
    public byte[] serialize(byte[] state) {
      return state;
    }
  }

  private static final class GuidOfState implements SerializationSchema<byte[]> {
    @Override
    public byte[] serialize(byte[] state) {
      int start = GUID_LENGTH + 1;
      return Arrays.copyOfRange(state, start, start + (state[GUID_LENGTH] >> 1));
    }
  }
}
