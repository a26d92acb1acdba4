package bench.job;

import java.util.concurrent.atomic.AtomicBoolean;

/** What the harness tells a runner by its environment, and what the runner tells the harness. */
public final class Run {
  public static final String BROKER = required("BENCH_BROKER");
  public static final String SOURCE = required("BENCH_SOURCE");
  public static final String OUTPUT = required("BENCH_OUTPUT");
  public static final String ID = required("BENCH_RUN");
  public static final String STATE_DIR = required("BENCH_STATE_DIR");

  private static final AtomicBoolean STARTED = new AtomicBoolean();

  private Run() {}

  /** Says, once per process, when the first event was taken up: the clock of the measurement starts here. */
  public static void firstEvent() {
    if (STARTED.compareAndSet(false, true)) {
      System.out.printf("FIRST %.3f%n", System.currentTimeMillis() / 1e3);
      System.out.flush();
    }
  }

  private static String required(String name) {
    String value = System.getenv(name);
    if (value == null || value.isEmpty()) {
      throw new IllegalStateException(name + " is not set; the harness sets it");
    }
    return value;
  }
}
