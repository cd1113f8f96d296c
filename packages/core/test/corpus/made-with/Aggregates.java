// Prints aggregates as JSON. With com.amazonaws:amazon-kinesis-aggregator:1.0.3 and Jackson on the class path:
// java -cp 'lib/*' Aggregates.java
import com.amazonaws.kinesis.agg.RecordAggregator;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.util.HexFormat;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;

class Aggregates {
  public static void main(String[] arguments) throws Exception {
    ObjectMapper json = new ObjectMapper();
    Map<String, String> made = new LinkedHashMap<>();
    JsonNode cases = json.readTree(new File("cases.json"));
    for (Iterator<Map.Entry<String, JsonNode>> all = cases.fields(); all.hasNext();) {
      Map.Entry<String, JsonNode> each = all.next();
      RecordAggregator aggregator = new RecordAggregator();
      for (JsonNode record : each.getValue()) {
        byte[] data = HexFormat.of().parseHex(record.get("data").asText());
        JsonNode hashKey = record.get("explicitHashKey");
        String key = record.get("partitionKey").asText();
        aggregator.addUserRecord(key, hashKey == null ? null : hashKey.asText(), data);
      }
      made.put(each.getKey(), HexFormat.of().formatHex(aggregator.clearAndGet().toRecordBytes()));
    }
    System.out.println(json.writerWithDefaultPrettyPrinter().writeValueAsString(made));
  }
}
