import { isDue, type Known } from "./reused-request.ts";
import { SDK_CONTEXT, type Context, type Wrap } from "./sdk-stack.ts";

interface Signer {
  readonly sign: unknown;
}

/** The client's configuration, as far as the SDK signs by it. */
interface SigningConfiguration {
  signer: (authScheme: unknown) => Promise<Signer>;
  systemClockOffset: number;
}

interface SigningProperties {
  config?: SigningConfiguration;
}

/** The SDK's own signer. What a user wrote may be meant for one request. */
const SDK_SIGNER = "SignatureV4";

/**
 * The SDK creates a signer for each request, from a copy of its whole configuration. Here one signs
 * those of a second: it asks for the credentials each time, and for the time of day, which stay the client's.
 * @param second changes each second
 */
export function reuseSigner(second: () => number): Wrap {
  const configurations = new WeakMap<SigningConfiguration, SigningConfiguration>();
  return (sdk) => (next, context) => {
    const sign = sdk(next, context);
    return (args) => {
      const properties = signingPropertiesOf(context);
      const { config } = properties ?? {};
      if (typeof config?.signer === "function") {
        let reusing = configurations.get(config);
        if (reusing === undefined) {
          reusing = withOneSigner(config, second);
          // A provider of auth schemes may return the same properties again.
          configurations.set(config, reusing).set(reusing, reusing);
        }
        properties!.config = reusing;
      }
      return sign(args);
    };
  };
}

function signingPropertiesOf(context: Context): SigningProperties | undefined {
  const { selectedHttpAuthScheme } = (context[SDK_CONTEXT] ?? {}) as {
    readonly selectedHttpAuthScheme?: {
      readonly httpAuthOption?: { readonly signingProperties?: SigningProperties };
    };
  };
  return selectedHttpAuthScheme?.httpAuthOption?.signingProperties;
}

/** The configuration itself, but for its signer. */
function withOneSigner(config: SigningConfiguration, second: () => number): SigningConfiguration {
  let known: (Known & { readonly signer: Signer; readonly authScheme: unknown }) | undefined;
  return Object.create(config, {
    signer: {
      value: async (authScheme: unknown): Promise<Signer> => {
        if (known !== undefined && known.authScheme === authScheme && !isDue(known, second()))
          return known.signer;
        const signer = await config.signer(authScheme);
        if (signer.constructor.name === SDK_SIGNER) {
          known = { second: second(), signer, authScheme };
        }
        return signer;
      },
    },
    // The SDK corrects it by the replies.
    systemClockOffset: {
      get: () => config.systemClockOffset,
      set: (offset: number) => {
        config.systemClockOffset = offset;
      },
    },
  }) as SigningConfiguration;
}
