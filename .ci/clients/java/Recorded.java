import java.io.*;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.*;
import java.util.concurrent.atomic.*;
import java.util.zip.CRC32C;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.*;

/**
 * Kafka's own producer (idempotent, acks=all) and a consumer that reads along, recorded as `logquake check` reads it, until
 * a line comes in. Arguments: bootstrap servers, topic, partitions, records a second, where the clock begins, file.
 */
public class Recorded {
    static final int PRODUCER = 4, MOST_OPEN = 4000, BYTES = 64;

    static int reader = 5, number = 1, recorders = 2;
    /** Whoever may be killed leaves every line that it wrote. */
    static boolean flushes;
    static String addr, topic;
    static int partitions;
    static long base, last;
    static Writer file;

    static long now() {
        return last = Math.max(last + 1, System.nanoTime() - base);
    }

    static synchronized void note(String kind, String more) {
        write(now(), kind, more);
    }

    static synchronized long call(int client, String call) {
        long at = now(), op = at * recorders + number;
        write(at, "call", "\"op\":" + op + ",\"client\":" + client + ",\"incarnation\":0,\"call\":{" + call + "}");
        return op;
    }

    static void returned(long op, String outcome, int code, String reply) {
        note("return", "\"op\":" + op + ",\"outcome\":\"" + outcome + "\",\"code\":" + code + ",\"reply\":{" + reply + "}");
    }

    static void write(long at, String kind, String more) {
        try {
            file.write("{\"at\":" + at + ",\"kind\":\"" + kind + "\"," + more + "}\n");
            if (flushes) file.flush();
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static long crc(byte[]... parts) {
        var crc = new CRC32C();
        for (byte[] part : parts) crc.update(part, 0, part.length);
        return crc.getValue();
    }

    /** As harness/src/history/value.rs lays it out. */
    static byte[] encode(long seq, int tp) {
        var value = ByteBuffer.allocate(BYTES).put(new byte[] {'L', 'Q', '1', 0}).putInt(1).putShort((short) 0).putLong(seq).putInt(tp);
        return value.putInt(22, (int) proof(value.array())).array();
    }

    static long proof(byte[] value) {
        return crc(Arrays.copyOfRange(value, 0, 22), Arrays.copyOfRange(value, 26, value.length));
    }

    static String id(long producer, int incarnation, long seq) {
        return "{\"producer\":" + producer + ",\"incarnation\":" + incarnation + ",\"seq\":" + seq + "}";
    }

    static String decode(byte[] value) {
        if (value == null || value.length < 26) return "null";
        var at = ByteBuffer.wrap(value);
        boolean ours = at.getInt(0) == 0x4C513100 && (at.getInt(22) & 0xFFFFFFFFL) == proof(value);
        return ours ? id(at.getInt(4) & 0xFFFFFFFFL, at.getShort(8) & 0xFFFF, at.getLong(10)) : "null";
    }

    static long checksum(byte[] value, long timestamp) {
        return crc(ByteBuffer.allocate(24).putLong(timestamp).putLong(-1).putLong(value.length).array(), value);
    }

    static final AtomicInteger open = new AtomicInteger();

    static void send(Producer<byte[], byte[]> producer, int tp, long seq) {
        byte[] value = encode(seq, tp);
        long timestamp = System.currentTimeMillis();
        open.incrementAndGet();
        long op = call(PRODUCER, "\"call\":\"send\",\"tp\":" + tp + ",\"id\":" + id(1, 0, seq) + ",\"checksum\":"
            + checksum(value, timestamp) + ",\"timestamp\":" + timestamp + ",\"acks\":-1");
        producer.send(new ProducerRecord<>(topic, tp, timestamp, null, value), (said, error) -> {
            open.decrementAndGet();
            if (error == null) returned(op, "ok", 0, "\"reply\":\"sent\",\"offset\":" + said.offset());
            // What a client gives up on may have been stored.
            else returned(op, "info", Errors.forException(error).code(), "\"reply\":\"none\"");
        });
    }

    static void produce(long rate, AtomicBoolean stop) throws Exception {
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "acks", "all", "enable.idempotence", true, "linger.ms", 5,
            "delivery.timeout.ms", 120_000, "request.timeout.ms", 10_000, "reconnect.backoff.max.ms", 500);
        var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer());
        long[] seqs = new long[partitions];
        long began = System.nanoTime(), sent = 0;
        while (!stop.get()) {
            long due = (System.nanoTime() - began) * rate / 1_000_000_000L;
            for (; sent < due && open.get() < MOST_OPEN; sent++) {
                int tp = (int) (sent % partitions);
                send(producer, tp, seqs[tp]++);
            }
            sent = due;
            Thread.sleep(5);
        }
        producer.flush();
        producer.close();
        note("quit", "\"client\":" + PRODUCER + ",\"incarnation\":0");
    }

    static void read(AtomicBoolean stop) {
        Map<String, Object> config = Map.of("bootstrap.servers", addr, "auto.offset.reset", "none", "reconnect.backoff.max.ms", 500);
        try (var consumer = new KafkaConsumer<>(config, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> all = new ArrayList<>();
            long[] next = new long[partitions];
            for (int tp = 0; tp < partitions; tp++) {
                all.add(new TopicPartition(topic, tp));
                returned(call(reader, "\"call\":\"assign\",\"tp\":" + tp + ",\"position\":0,\"last\":false"), "ok", 0, "\"reply\":\"none\"");
            }
            consumer.assign(all);
            consumer.seekToBeginning(all);
            while (!stop.get()) {
                var found = consumer.poll(Duration.ofMillis(200));
                for (var tp : found.partitions()) next[tp.partition()] = polled(tp.partition(), next[tp.partition()], found.records(tp));
            }
        }
        note("quit", "\"client\":" + reader + ",\"incarnation\":0");
    }

    static long polled(int tp, long position, List<ConsumerRecord<byte[], byte[]>> records) {
        long op = call(reader, "\"call\":\"poll\",\"tp\":" + tp + ",\"position\":" + position);
        for (var record : records) {
            note("deliver", "\"op\":" + op + ",\"client\":" + reader + ",\"tp\":" + tp + ",\"offset\":" + record.offset() + ",\"id\":"
                + decode(record.value()) + ",\"checksum\":" + checksum(record.value(), record.timestamp()) + ",\"timestamp\":"
                + record.timestamp() + ",\"epoch\":" + record.leaderEpoch().orElse(0) + ",\"last\":false");
            position = record.offset() + 1;
        }
        returned(op, "ok", 0, "\"reply\":\"polled\",\"records\":" + records.size() + ",\"position\":" + position + ",\"high\":" + position);
        return position;
    }

    public static void main(String[] args) throws Exception {
        addr = args[0];
        topic = args[1];
        partitions = Integer.parseInt(args[2]);
        base = Long.parseLong(args[4]);
        file = new BufferedWriter(new FileWriter(args[5]));
        AtomicBoolean stop = new AtomicBoolean(), end = new AtomicBoolean();
        AtomicReference<Throwable> failed = new AtomicReference<>();
        var reading = new Thread(() -> read(end));
        reading.setUncaughtExceptionHandler((thread, error) -> failed.set(error));
        reading.start();
        new Thread(() -> {
            new Scanner(System.in).nextLine();
            stop.set(true);
        }).start();
        System.out.println("begun");
        produce(Long.parseLong(args[3]), stop);
        end.set(true);
        reading.join();
        file.close();
        if (failed.get() != null) throw new IllegalStateException(failed.get());
    }
}
