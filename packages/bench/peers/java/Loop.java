import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicLong;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import software.amazon.awssdk.auth.credentials.AwsBasicCredentials;
import software.amazon.awssdk.auth.credentials.StaticCredentialsProvider;
import software.amazon.awssdk.http.apache5.Apache5HttpClient;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.GetRecordsResponse;
import software.amazon.awssdk.services.kinesis.model.Record;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;

/**
 * The loop that one writes by hand over AWS's SDK for Java: a thread for each shard, each page after the other.
 * Arguments: the endpoint, how many shards, how many pages of each, the server's certificate in PEM or "", and an
 * interval in milliseconds. Each line of standard input is a round; each line of standard output is what it cost.
 * With an interval, the line "poll" begins to poll each shard once in so long; each line is answered with the CPU so far.
 */
public final class Loop {
    private static final int CONNECTIONS = 50;

    public static void main(String[] args) {
        try {
            run(args);
        } catch (Exception error) {
            error.printStackTrace();
            System.exit(1);
        }
        System.exit(0);
    }

    private static void run(String[] args) throws Exception {
        int shards = Integer.parseInt(args[1]);
        int pages = Integer.parseInt(args[2]);
        ExecutorService threads = Executors.newFixedThreadPool(shards);
        try (KinesisClient client = open(args[0], args[3])) {
            BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
            long interval = Long.parseLong(args[4]);
            for (String line = lines.readLine(); line != null; line = lines.readLine()) {
                if (interval > 0) {
                    if (line.equals("poll")) poll(client, threads, shards, interval);
                    printCost(0, cpuMicros());
                } else {
                    List<String> iterators = firstPages(client, threads, shards);
                    long before = cpuMicros();
                    long records = round(client, threads, iterators, pages - 1);
                    printCost(records, cpuMicros() - before);
                }
            }
        }
    }

    private static void printCost(long records, long micros) {
        System.out.printf("{\"records\":%d,\"cpuMicros\":%d}%n", records, micros);
    }

    private static KinesisClient open(String endpoint, String certificate) throws Exception {
        Apache5HttpClient.Builder http = Apache5HttpClient.builder().maxConnections(CONNECTIONS);
        if (!certificate.isEmpty()) {
            TrustManager[] trusted = trust(certificate);
            http.tlsTrustManagersProvider(() -> trusted);
        }
        return KinesisClient.builder()
                .endpointOverride(URI.create(endpoint))
                .region(Region.US_EAST_1)
                .credentialsProvider(
                        StaticCredentialsProvider.create(AwsBasicCredentials.create("bench", "bench")))
                .httpClientBuilder(http)
                .build();
    }

    private static TrustManager[] trust(String certificate) throws Exception {
        byte[] bytes = certificate.getBytes(StandardCharsets.US_ASCII);
        Certificate parsed =
                CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(bytes));
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        store.setCertificateEntry("server", parsed);
        TrustManagerFactory factory =
                TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        return factory.getTrustManagers();
    }

    /** Reads a page of each shard, which is not measured. Returns where the next ones begin. */
    private static List<String> firstPages(KinesisClient client, ExecutorService threads, int shards)
            throws Exception {
        List<Future<String>> pages = new ArrayList<>();
        for (int shard = 0; shard < shards; shard++) {
            String shardId = shardId(shard);
            pages.add(
                    threads.submit(
                            () -> getRecords(client, firstIterator(client, shardId)).nextShardIterator()));
        }
        List<String> iterators = new ArrayList<>();
        for (Future<String> page : pages) iterators.add(page.get());
        return iterators;
    }

    private static long round(
            KinesisClient client, ExecutorService threads, List<String> iterators, int pages)
            throws Exception {
        AtomicLong handled = new AtomicLong();
        List<Future<?>> readers = new ArrayList<>();
        for (String iterator : iterators) {
            readers.add(threads.submit(() -> readShard(client, iterator, pages, handled)));
        }
        for (Future<?> reader : readers) reader.get();
        return handled.get();
    }

    private static String shardId(int shard) {
        return String.format("shardId-%012d", shard);
    }

    private static void poll(KinesisClient client, ExecutorService threads, int shards, long interval) {
        for (int shard = 0; shard < shards; shard++) {
            String shardId = shardId(shard);
            threads.submit(
                    () -> {
                        String iterator = firstIterator(client, shardId);
                        while (true) {
                            long next = System.nanoTime() + interval * 1_000_000;
                            iterator = getRecords(client, iterator).nextShardIterator();
                            Thread.sleep(Math.max(0, (next - System.nanoTime()) / 1_000_000));
                        }
                    });
        }
    }

    private static String firstIterator(KinesisClient client, String shardId) {
        return client.getShardIterator(
                        request ->
                                request.streamName("bench")
                                        .shardId(shardId)
                                        .shardIteratorType(ShardIteratorType.TRIM_HORIZON))
                .shardIterator();
    }

    private static GetRecordsResponse getRecords(KinesisClient client, String iterator) {
        return client.getRecords(request -> request.shardIterator(iterator).limit(10_000));
    }

    private static void readShard(KinesisClient client, String first, int pages, AtomicLong handled) {
        String iterator = first;
        for (int page = 0; page < pages; page++) {
            GetRecordsResponse reply = getRecords(client, iterator);
            for (Record ignored : reply.records()) handled.incrementAndGet();
            iterator = reply.nextShardIterator();
        }
    }

    /** CPU time of this process, user and system, in microseconds: compilation and collection included. */
    private static long cpuMicros() {
        OperatingSystemMXBean system =
                (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime() / 1000;
    }
}
