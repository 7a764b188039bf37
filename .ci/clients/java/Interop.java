import java.time.Duration;
import java.util.*;
import java.util.concurrent.*;
import org.apache.kafka.clients.admin.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.producer.*;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.*;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.serialization.*;

/** Kafka's own Java client: one argument, host:port. Exits 1 with a stack trace at the first disappointment. */
public class Interop {
    static final int RECORDS = 2000;
    static String addr;
    static Admin admin;

    static Map<String, Object> config(Object... pairs) {
        Map<String, Object> config = new HashMap<>();
        config.put("bootstrap.servers", addr);
        for (int at = 0; at < pairs.length; at += 2) config.put((String) pairs[at], pairs[at + 1]);
        return config;
    }

    static void equal(Object expected, Object found) {
        if (!Objects.equals(expected, found)) throw new AssertionError("expected " + expected + ", found " + found);
    }

    static String topic(int partitions) throws Exception {
        String name = "java-" + UUID.randomUUID();
        admin.createTopics(List.of(new NewTopic(name, partitions, (short) 1))).all().get(10, TimeUnit.SECONDS);
        return name;
    }

    static void produce(String topic, String codec, String acks) throws Exception {
        var producer = new KafkaProducer<>(
            config("enable.idempotence", acks.equals("all"), "acks", acks, "compression.type", codec, "linger.ms", 5),
            new StringSerializer(), new StringSerializer());
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        for (int n = 0; n < RECORDS; n++) {
            var headers = List.<org.apache.kafka.common.header.Header>of(
                new RecordHeader("h", new byte[] {1}), new RecordHeader("h", null));
            sent.add(producer.send(new ProducerRecord<>(topic, 0, 1_000_000L + n, "k" + n, "value " + n, headers)));
        }
        producer.flush();
        for (int n = 0; n < RECORDS; n++) {
            RecordMetadata said = sent.get(n).get();
            if (!acks.equals("0")) equal((long) n, said.offset());
        }
        producer.close();
    }

    static void consume(String topic, long from) {
        var tp = new TopicPartition(topic, 0);
        try (var consumer = new KafkaConsumer<>(config("auto.offset.reset", "none"),
                new StringDeserializer(), new StringDeserializer())) {
            consumer.assign(List.of(tp));
            consumer.seek(tp, from);
            long next = from;
            long until = System.currentTimeMillis() + 10_000;
            while (next < RECORDS && System.currentTimeMillis() < until) {
                for (var record : consumer.poll(Duration.ofMillis(500))) {
                    equal(next, record.offset());
                    equal("k" + next, record.key());
                    equal("value " + next, record.value());
                    equal(1_000_000L + next, record.timestamp());
                    equal(2, record.headers().toArray().length);
                    next++;
                }
            }
            equal((long) RECORDS, next);
            equal(Map.of(tp, 0L), consumer.beginningOffsets(List.of(tp)));
            equal(Map.of(tp, (long) RECORDS), consumer.endOffsets(List.of(tp)));
            equal(77L, consumer.offsetsForTimes(Map.of(tp, 1_000_077L)).get(tp).offset());
            equal(null, consumer.offsetsForTimes(Map.of(tp, 9_000_000L)).get(tp));
        }
    }

    /** Without an assignor it is the broker that shares out (KIP-848). */
    static KafkaConsumer<String, String> member(String group, Class<?> assignor) {
        var config = config("group.id", group, "auto.offset.reset", "earliest", "enable.auto.commit", false);
        config.putAll(assignor == null ? Map.of("group.protocol", "consumer")
            : Map.of("session.timeout.ms", 6000, "heartbeat.interval.ms", 300,
                "partition.assignment.strategy", assignor.getName()));
        return new KafkaConsumer<>(config, new StringDeserializer(), new StringDeserializer());
    }

    /** Two members share four partitions; when one has left, the other has all, and goes on where that one ended. */
    static void group(Class<?> assignor) throws Exception {
        String name = topic(4), group = "java-" + UUID.randomUUID();
        var seen = new HashSet<String>();
        try (var one = member(group, assignor); var two = member(group, assignor)) {
            for (var member : List.of(one, two)) member.subscribe(List.of(name));
            until("two do not share", () -> {
                one.poll(Duration.ofMillis(50));
                two.poll(Duration.ofMillis(50));
                return one.assignment().size() == 2 && two.assignment().size() == 2;
            });
            try (var producer = new KafkaProducer<>(config(), new StringSerializer(), new StringSerializer())) {
                for (int n = 0; n < 400; n++) producer.send(new ProducerRecord<>(name, n % 4, null, "value " + n));
            }
            var read = new Object() {
                void by(KafkaConsumer<String, String> member) {
                    for (var record : member.poll(Duration.ofMillis(50)))
                        equal(true, seen.add(record.partition() + "/" + record.offset()));
                    member.commitSync();
                }
            };
            until("they read nothing", () -> { read.by(one); read.by(two); return seen.size() >= 100; });
            one.close();
            until("not everything is read", () -> { read.by(two); return seen.size() == 400; });
            equal(4, two.assignment().size());
            var told = admin.describeConsumerGroups(List.of(group)).all().get(10, TimeUnit.SECONDS).get(group);
            equal(1, told.members().size());
        }
        var committed = admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get(10, TimeUnit.SECONDS);
        equal(4, committed.size());
        for (var offset : committed.values()) equal(100L, offset.offset());
        admin.deleteConsumerGroups(List.of(group)).all().get(10, TimeUnit.SECONDS);
    }

    static void until(String what, Callable<Boolean> found) throws Exception {
        for (long end = System.currentTimeMillis() + 30_000; !found.call();)
            if (System.currentTimeMillis() > end) throw new AssertionError(what);
    }

    static void administer() throws Exception {
        String name = topic(2);
        equal(2, admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size());
        admin.createPartitions(Map.of(name, NewPartitions.increaseTo(5))).all().get();
        equal(5, admin.describeTopics(List.of(name)).allTopicNames().get().get(name).partitions().size());
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, name);
        var set = new AlterConfigOp(new ConfigEntry("retention.ms", "4242424"), AlterConfigOp.OpType.SET);
        admin.incrementalAlterConfigs(Map.of(resource, List.of(set))).all().get();
        equal("4242424", admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms").value());
        equal(1, admin.describeCluster().nodes().get().size());
        admin.deleteTopics(List.of(name)).all().get();
        try {
            admin.describeTopics(List.of(name)).allTopicNames().get();
            throw new AssertionError("a deleted topic is described");
        } catch (ExecutionException e) {
            equal(UnknownTopicOrPartitionException.class, e.getCause().getClass());
        }
    }

    static void fails(Class<?> with, org.apache.kafka.common.KafkaFuture<?> future) throws Exception {
        try {
            future.get(10, TimeUnit.SECONDS);
        } catch (ExecutionException e) {
            equal(with, e.getCause().getClass());
            return;
        }
        throw new AssertionError("expected " + with);
    }

    static void operate() throws Exception {
        var quorum = admin.describeMetadataQuorum().quorumInfo().get(10, TimeUnit.SECONDS);
        equal(List.of(quorum.leaderId()), quorum.voters().stream().map(QuorumInfo.ReplicaState::replicaId).toList());
        equal(1, quorum.nodes().get(quorum.leaderId()).endpoints().size());
        equal(true, quorum.highWatermark() > 0 && quorum.leaderEpoch() > 0);
        String name = topic(1);
        var tp = new TopicPartition(name, 0);
        var elected = admin.electLeaders(org.apache.kafka.common.ElectionType.PREFERRED, Set.of(tp)).partitions();
        equal(ElectionNotNeededException.class, elected.get(10, TimeUnit.SECONDS).get(tp).get().getClass());
        equal(Map.of(), admin.electLeaders(org.apache.kafka.common.ElectionType.UNCLEAN, null).partitions().get());
        var same = new NewPartitionReassignment(List.of(quorum.leaderId()));
        admin.alterPartitionReassignments(Map.of(tp, Optional.of(same))).all().get(10, TimeUnit.SECONDS);
        fails(InvalidReplicaAssignmentException.class, admin.alterPartitionReassignments(
            Map.of(tp, Optional.of(new NewPartitionReassignment(List.of(77))))).all());
        fails(NoReassignmentInProgressException.class,
            admin.alterPartitionReassignments(Map.of(tp, Optional.empty())).all());
        equal(Map.of(), admin.listPartitionReassignments().reassignments().get(10, TimeUnit.SECONDS));
        equal(Map.of(), admin.listPartitionReassignments(Set.of(tp)).reassignments().get(10, TimeUnit.SECONDS));
        fails(BrokerIdNotRegisteredException.class, admin.unregisterBroker(77).all());
        var nowhere = org.apache.kafka.common.Uuid.ZERO_UUID;
        fails(VoterNotFoundException.class, admin.removeRaftVoter(77, nowhere).all());
        var there = Set.of(new RaftVoterEndpoint("PLAINTEXT", "127.0.0.1", 1));
        fails(DuplicateVoterException.class, admin.addRaftVoter(quorum.leaderId(), nowhere, there).all());
    }

    static void deleteRecords() throws Exception {
        String name = topic(1);
        produce(name, "none", "all");
        var tp = new TopicPartition(name, 0);
        equal(500L, admin.deleteRecords(Map.of(tp, RecordsToDelete.beforeOffset(500))).lowWatermarks().get(tp).get()
            .lowWatermark());
        equal(500L, admin.listOffsets(Map.of(tp, OffsetSpec.earliest())).partitionResult(tp).get().offset());
        equal(1999L, admin.listOffsets(Map.of(tp, OffsetSpec.maxTimestamp())).partitionResult(tp).get().offset());
    }

    public static void main(String[] args) throws Exception {
        addr = args[0];
        admin = Admin.create(config());
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            String name = topic(1);
            produce(name, codec, "all");
            consume(name, 0);
            consume(name, 1234);
        }
        for (String acks : List.of("0", "1")) {
            String name = topic(1);
            produce(name, "none", acks);
            consume(name, 0);
        }
        group(RangeAssignor.class);
        group(CooperativeStickyAssignor.class);
        group(null);
        administer();
        operate();
        deleteRecords();
        admin.close();
    }
}
