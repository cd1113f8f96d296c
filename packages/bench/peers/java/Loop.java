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
 * Arguments: the endpoint, how many shards, how many pages of each, the server's certificate in PEM or "".
 * Each line of standard input is a round; each line of standard output is what it cost.
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
            while (lines.readLine() != null) {
                List<String> iterators = firstIterators(client, shards);
                long before = cpuMicros();
                long records = round(client, threads, iterators, pages);
                long micros = cpuMicros() - before;
                System.out.printf("{\"records\":%d,\"cpuMicros\":%d}%n", records, micros);
            }
        }
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

    private static List<String> firstIterators(KinesisClient client, int shards) {
        List<String> iterators = new ArrayList<>();
        for (int shard = 0; shard < shards; shard++) {
            String shardId = String.format("shardId-%012d", shard);
            iterators.add(
                    client.getShardIterator(
                                    request ->
                                            request.streamName("bench")
                                                    .shardId(shardId)
                                                    .shardIteratorType(ShardIteratorType.TRIM_HORIZON))
                            .shardIterator());
        }
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

    private static void readShard(KinesisClient client, String first, int pages, AtomicLong handled) {
        String iterator = first;
        for (int page = 0; page < pages; page++) {
            String from = iterator;
            GetRecordsResponse reply =
                    client.getRecords(request -> request.shardIterator(from).limit(10_000));
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
