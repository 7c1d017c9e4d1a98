import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executors;

/** The client as it comes: it asks for HTTP/2 with every request. */
public class Client {
    static final int THREADS = 16;
    static final int POSTS = 200;

    public static void main(String[] arguments) throws Exception {
        URI base = URI.create(arguments[0]);
        HttpClient client = HttpClient.newHttpClient();
        var failures = new ConcurrentLinkedQueue<String>();
        var workers = Executors.newFixedThreadPool(THREADS);
        List<Callable<Void>> work = new ArrayList<>();
        for (int thread = 0; thread < THREADS; thread++) {
            work.add(() -> {
                for (int post = 0; post < POSTS; post++) {
                    try {
                        expect(200, post(client, base, "/api/v1/ids", "{\"count\":1}"));
                    } catch (Exception failure) {
                        failures.add(failure.toString());
                    }
                }
                return null;
            });
        }
        for (var done : workers.invokeAll(work)) {
            done.get();
        }
        workers.shutdown();
        if (!failures.isEmpty()) {
            throw new Exception(failures.size() + " of " + THREADS * POSTS + ": " + failures.peek());
        }
        // With a pause that is longer than connections are kept there.
        URI closing = URI.create(arguments[1]);
        expect(200, post(client, closing, "/api/v1/ids", "{\"count\":1}"));
        Thread.sleep(2_000);
        expect(200, post(client, closing, "/api/v1/ids", "{\"count\":1}"));
        // A refusal before the body, and the next request.
        var refused = request(base, "/api/v1/jobs").header("content-type", "text/plain");
        var large = BodyPublishers.ofString("x".repeat(100_000));
        expect(415, client.send(refused.POST(large).build(), BodyHandlers.ofString()));
        var waits = request(base, "/api/v1/ids").header("content-type", "application/json");
        waits.expectContinue(true).POST(BodyPublishers.ofString("{\"count\":1}"));
        expect(200, client.send(waits.build(), BodyHandlers.ofString()));
        var stream = new java.io.ByteArrayInputStream("{\"count\":1}".getBytes());
        var chunked = request(base, "/api/v1/ids").header("content-type", "application/json");
        chunked.POST(BodyPublishers.ofInputStream(() -> stream));
        expect(200, client.send(chunked.build(), BodyHandlers.ofString()));
    }

    static HttpRequest.Builder request(URI base, String path) {
        return HttpRequest.newBuilder(base.resolve(path)).timeout(Duration.ofSeconds(30));
    }

    static HttpResponse<String> post(HttpClient client, URI base, String path, String body)
            throws Exception {
        var request = request(base, path).header("content-type", "application/json");
        return client.send(
                request.POST(BodyPublishers.ofString(body)).build(), BodyHandlers.ofString());
    }

    static void expect(int status, HttpResponse<String> response) throws Exception {
        if (response.statusCode() != status) {
            throw new Exception(response.statusCode() + ": " + response.body());
        }
    }
}
