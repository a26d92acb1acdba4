package bench.flink;

import bench.job.OrderFold;
import bench.job.Run;
import org.apache.flink.api.common.functions.OpenContext;
import org.apache.flink.api.common.state.ValueState;
import org.apache.flink.api.common.state.ValueStateDescriptor;
import org.apache.flink.api.common.typeinfo.PrimitiveArrayTypeInfo;
import org.apache.flink.streaming.api.functions.KeyedProcessFunction;
import org.apache.flink.util.Collector;

/** Keeps one order per key as Avro bytes in Flink's state and publishes each new state. */
final class FoldFunction extends KeyedProcessFunction<String, byte[], byte[]> {
  private static final long serialVersionUID = 1L;

  private transient OrderFold orders;
  private transient ValueState<byte[]> stored;

  @Override
  public void open(OpenContext context) {
    orders = new OrderFold();
    stored =
        getRuntimeContext()
            .getState(
                new ValueStateDescriptor<>("order", PrimitiveArrayTypeInfo.BYTE_PRIMITIVE_ARRAY_TYPE_INFO));
  }

  @Override
  public void processElement(byte[] event, Context context, Collector<byte[]> out) throws Exception {
    Run.firstEvent();
    OrderFold.Folded folded = orders.fold(event, stored.value());
    if (folded != null) {
      stored.update(folded.stored());
      out.collect(folded.published());
    }
  }
}
