package oms.connect;

import io.apicurio.registry.rest.client.exception.NotFoundException;
import io.apicurio.registry.rest.client.exception.RestClientException;
import io.apicurio.registry.utils.converter.AvroConverter;
import java.net.ConnectException;
import java.net.http.HttpTimeoutException;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.errors.RetriableException;

/**
 * Apicurio's converter, for which a registry that does not answer is a reason to wait. The stock one takes it for a bad
 * record: with errors.tolerance=all every record, while the registry is down, would become a dead letter. An id that
 * the registry does not know and bytes that are no Avro still do. Needs a long errors.retry.timeout.
 */
public class WaitingAvroConverter<T> extends AvroConverter<T> {
    @Override
    public SchemaAndValue toConnectData(String topic, byte[] bytes) {
        return toConnectData(topic, null, bytes);
    }

    @Override
    public SchemaAndValue toConnectData(String topic, Headers headers, byte[] bytes) {
        if (bytes != null && bytes.length == 0) {
            throw new DataException("no bytes: a tombstone is null, not empty");
        }
        try {
            return super.toConnectData(topic, headers, bytes);
        } catch (RuntimeException error) {
            if (isAway(error)) {
                throw new RetriableException("the schema registry does not answer", error);
            }
            throw error;
        }
    }

    private static boolean isAway(Throwable error) {
        for (Throwable cause = error; cause != null; cause = cause.getCause()) {
            if (cause instanceof NotFoundException) {
                return false;
            }
            if (cause instanceof RestClientException
                    || cause instanceof ConnectException
                    || cause instanceof HttpTimeoutException) {
                return true;
            }
        }
        return false;
    }
}
