import java.io.*;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

/** A member of a consumer group that notes what it knows: group_member.py in Kafka's own client, with the same arguments. */
public class GroupMember extends Recorded implements ConsumerRebalanceListener {
    final KafkaConsumer<byte[], byte[]> consumer;
    final int group;
    final Map<Integer, Long> next = new HashMap<>();
    int told = -1;

    GroupMember(String name, String strategy, int group) {
        this.group = group;
        var assignor = "org.apache.kafka.clients.consumer." + (strategy.equals("roundrobin") ? "RoundRobin" : "Range") + "Assignor";
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "group.id", name, "client.id", "member-" + reader,
            "partition.assignment.strategy", assignor, "session.timeout.ms", 6000, "heartbeat.interval.ms", 300,
            "enable.auto.commit", false, "auto.offset.reset", "none", "reconnect.backoff.max.ms", 300, "metadata.max.age.ms", 2000);
        consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void step(int generation, String step, String more) {
        note("group", "\"client\":" + reader + ",\"incarnation\":0,\"group\":" + group + ",\"generation\":" + generation
            + ",\"step\":\"" + step + "\"" + more);
    }

    int generation() {
        return consumer.groupMetadata().generationId();
    }

    void hears(int generation) {
        if (generation < 0 || generation == told) return;
        step(generation, "entered", ",\"leads\":false");
        step(generation, "synced", "");
        told = generation;
    }

    /** It asks itself where the group left off, because what the consumer finds it does not tell. */
    @Override public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
        hears(generation());
        var ops = new HashMap<TopicPartition, Long>();
        for (var tp : partitions) ops.put(tp, call(reader, "\"call\":\"fetch_offset\",\"group\":" + group + ",\"tp\":" + tp.partition()));
        var found = consumer.committed(Set.copyOf(partitions), Duration.ofSeconds(60));
        for (var tp : partitions) {
            long at = found.get(tp) == null ? -1 : found.get(tp).offset(), position = Math.max(at, 0);
            returned(ops.get(tp), "ok", 0, "\"reply\":\"offset\",\"offset\":" + at);
            step(generation(), "assigned", ",\"tp\":" + tp.partition() + ",\"position\":" + position);
            long op = call(reader, "\"call\":\"assign\",\"tp\":" + tp.partition() + ",\"position\":" + position + ",\"last\":false");
            returned(op, "ok", 0, "\"reply\":\"none\"");
            next.put(tp.partition(), position);
            consumer.seek(tp, position);
        }
    }

    @Override public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
        for (var tp : partitions) step(told, "revoked", ",\"tp\":" + tp.partition());
    }

    @Override public void onPartitionsLost(Collection<TopicPartition> partitions) {
        told = -1;
        for (var tp : partitions) step(-1, "lost", ",\"tp\":" + tp.partition());
    }

    void process(ConsumerRecord<byte[], byte[]> record) {
        int tp = record.partition();
        next.put(tp, polled(tp, next.get(tp), List.of(record)));
        int generation = generation();
        step(generation, "processed", ",\"tp\":" + tp + ",\"position\":" + next.get(tp));
        commit(tp, generation);
    }

    /** Which generation it stated is known if that is the same before and after, because none comes back. */
    void commit(int tp, int generation) {
        long op = call(reader, "\"call\":\"commit\",\"group\":" + group + ",\"tp\":" + tp + ",\"offset\":" + next.get(tp)
            + ",\"generation\":" + generation);
        int code = 0;
        try {
            consumer.commitSync(Map.of(new TopicPartition(topic, tp), new OffsetAndMetadata(next.get(tp))), Duration.ofSeconds(30));
        } catch (RetriableException | RebalanceInProgressException | CommitFailedException error) {
            code = Errors.forException(error).code();
        }
        boolean known = code == 0 && generation == generation();
        returned(op, known ? "ok" : "info", code, "\"reply\":\"none\"");
        if (known) hears(generation);
    }

    void run(AtomicBoolean stopped) {
        consumer.subscribe(List.of(topic), this);
        while (!stopped.get()) consumer.poll(Duration.ofMillis(100)).forEach(this::process);
        consumer.close();
        step(-1, "left", "");
        note("quit", "\"client\":" + reader + ",\"incarnation\":0");
    }

    public static void main(String[] args) throws Exception {
        addr = args[0];
        topic = args[1];
        reader = number = Integer.parseInt(args[5]);
        base = Long.parseLong(args[6]);
        recorders = Integer.parseInt(args[7]);
        file = new FileWriter(args[8]);
        flushes = true;
        var stopped = new AtomicBoolean();
        new Thread(() -> {
            try {
                while (System.in.read() >= 0) { }
            } catch (IOException ignored) { }
            stopped.set(true);
        }).start();
        new GroupMember(args[2], args[3], Integer.parseInt(args[4])).run(stopped);
        file.close();
    }
}
