package bench.kstreams;

import bench.job.OrderFold;
import bench.job.Run;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.processor.api.Processor;
import org.apache.kafka.streams.processor.api.ProcessorContext;
import org.apache.kafka.streams.processor.api.Record;
import org.apache.kafka.streams.state.KeyValueStore;
import org.apache.kafka.streams.state.Stores;

/** The job on Kafka Streams: exactly_once_v2, two threads, RocksDB with a changelog; runs until it is told to stop. */
public final class KafkaStreamsPeer {
  private static final String STORE = "orders";

  private KafkaStreamsPeer() {}

  public static void main(String[] args) {
    Topology topology =
        new Topology()
            .addSource("events", new ByteArrayDeserializer(), new ByteArrayDeserializer(), Run.SOURCE)
            .addProcessor("fold", FoldProcessor::new, "events")
            .addStateStore(
                Stores.keyValueStoreBuilder(
                    Stores.persistentKeyValueStore(STORE), Serdes.ByteArray(), Serdes.ByteArray()),
                "fold")
            .addSink("states", Run.OUTPUT, new ByteArraySerializer(), new ByteArraySerializer(), "fold");

    KafkaStreams streams = new KafkaStreams(topology, settings());
    Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
    streams.start();
  }

  private static Properties settings() {
    Properties settings = new Properties();
    settings.put(StreamsConfig.APPLICATION_ID_CONFIG, Run.ID);
    settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, Run.BROKER);
    settings.put(StreamsConfig.STATE_DIR_CONFIG, Run.STATE_DIR);
    settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, 2);
    settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
    settings.put(StreamsConfig.REPLICATION_FACTOR_CONFIG, 1);
    settings.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
    return settings;
  }

  private static final class FoldProcessor implements Processor<byte[], byte[], byte[], byte[]> {
    private final OrderFold orders = new OrderFold();
    private ProcessorContext<byte[], byte[]> context;
    private KeyValueStore<byte[], byte[]> store;

    @Override
    public void init(ProcessorContext<byte[], byte[]> context) {
      this.context = context;
      store = context.getStateStore(STORE);
    }

    @Override
    public void process(Record<byte[], byte[]> event) {
      Run.firstEvent();
      OrderFold.Folded folded = orders.fold(event.value(), store.get(event.key()));
      if (folded != null) {
        store.put(event.key(), folded.stored());
        context.forward(event.withValue(folded.published()));
      }
    }
  }
}
