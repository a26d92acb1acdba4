package oms.connect;

import io.apicurio.registry.rest.client.exception.NotFoundException;
import io.apicurio.registry.utils.converter.AvroConverter;
import io.apicurio.rest.client.error.ApicurioRestClientException;
import java.net.ConnectException;
import java.net.http.HttpTimeoutException;
import java.time.Duration;
import java.util.Map;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;

/**
 * Apicurio's converter, for which a registry that does not answer is no property of the record. With the stock one and
 * errors.tolerance=all, every record that comes while the registry is down becomes a dead letter; with a retriable
 * exception instead, those in hand do when the task is stopped meanwhile. So this one waits, for wait.ms (30 s), and
 * then ends the task by an Error, which Connect does not tolerate: no offset moves, and the task may be started again.
 * An id that the registry does not know and bytes that are no Avro still make dead letters.
 */
public class WaitingAvroConverter<T> extends AvroConverter<T> {
    private static final Duration PAUSE = Duration.ofMillis(500);

    private Duration patience = Duration.ofSeconds(30);

    @Override
    public void configure(Map<String, ?> settings, boolean isKey) {
        super.configure(settings, isKey);
        Object wait = settings.get("wait.ms");
        if (wait != null) {
            patience = Duration.ofMillis(Long.parseLong(wait.toString()));
        }
    }

    @Override
    public SchemaAndValue toConnectData(String topic, byte[] bytes) {
        return toConnectData(topic, null, bytes);
    }

    @Override
    public SchemaAndValue toConnectData(String topic, Headers headers, byte[] bytes) {
        if (bytes != null && bytes.length == 0) {
            throw new DataException("no bytes: a tombstone is null, not empty");
        }
        long began = System.nanoTime();
        while (true) {
            try {
                return super.toConnectData(topic, headers, bytes);
            } catch (RuntimeException error) {
                if (!isAway(error)) {
                    throw error;
                }
                if (System.nanoTime() - began > patience.toNanos() || !paused()) {
                    throw new RegistryAway(error);
                }
            }
        }
    }

    /** False if somebody wants this thread to end. */
    private static boolean paused() {
        try {
            Thread.sleep(PAUSE.toMillis());
            return true;
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    private static boolean isAway(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof NotFoundException) {
                return false;
            }
            // Refused credentials (401, 403) are among these, and no property of the record either.
            if (cause instanceof ApicurioRestClientException
                    || cause instanceof ConnectException
                    || cause instanceof HttpTimeoutException) {
                return true;
            }
        }
        return false;
    }

    /** Ends the task. Without a cause, so that its own words are the root of what is shown. */
    private static final class RegistryAway extends Error {
        private static final long serialVersionUID = 1;

        RegistryAway(RuntimeException error) {
            super("the schema registry does not answer: " + error.getMessage());
        }
    }
}
