// Both topics as one table with Kafka Streams: every message in its newest state.
//
// Needs kafka-streams and jackson-databind on the class path:
//   java -cp 'jars/*' MessageStates.java 127.0.0.1:9092 sms.message-states
// The topics have the same keys, partitions and partitioner, so nothing is moved before the join. `make streams` runs this file over
// a real Kafka and compares every message.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.kstream.KTable;

public class MessageStates {
    static final ObjectMapper JSON = new ObjectMapper();
    static final List<String> STATUS =
            List.of("revision", "status", "provider_status", "final", "sent_at", "delivered_at", "received_at", "error", "observed_at");

    public static void main(String[] args) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, "message-states");
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, args[0]);
        settings.put(StreamsConfig.DEFAULT_KEY_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put(StreamsConfig.DEFAULT_VALUE_SERDE_CLASS_CONFIG, Serdes.StringSerde.class);
        settings.put("auto.offset.reset", "earliest");
        // reads committed records only, and survives its own crashes without a double
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        KafkaStreams streams = new KafkaStreams(states(args[1]).build(), settings);
        Runtime.getRuntime().addShutdownHook(new Thread(streams::close));
        streams.start();
    }

    /** The newest event of each key on each topic, joined: the message, with the newer status. */
    static StreamsBuilder states(String output) {
        StreamsBuilder builder = new StreamsBuilder();
        KTable<String, String> messages = newest(builder, "sms.messages.v1");
        KTable<String, String> statuses = newest(builder, "sms.status-changes.v1");
        messages.leftJoin(statuses, MessageStates::whole).toStream().to(output);
        return builder;
    }

    /** Events come in the order of their revisions within a topic; a reduction by revision holds whatever comes. */
    static KTable<String, String> newest(StreamsBuilder builder, String topic) {
        return builder.<String, String>stream(topic).groupByKey().reduce((old, next) -> revision(next) > revision(old) ? next : old);
    }

    static long revision(String event) {
        return read(event).get("revision").asLong();
    }

    /** A message with what a newer status says. `revision` decides, across both topics; times do not. */
    static String whole(String message, String status) {
        if (status == null || revision(status) < revision(message)) {
            return message;
        }
        ObjectNode whole = (ObjectNode) read(message);
        JsonNode newer = read(status);
        for (String name : STATUS) {
            if (newer.has(name)) {
                whole.set(name, newer.get(name));
            } else {
                whole.remove(name);
            }
        }
        return whole.toString();
    }

    static JsonNode read(String event) {
        try {
            return JSON.readTree(event);
        } catch (Exception error) {
            throw new IllegalArgumentException("not JSON", error);
        }
    }
}
