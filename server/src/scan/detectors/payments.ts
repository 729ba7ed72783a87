import { judgeEntropy } from '../checks.ts'
import { type Detector, prefixed } from '../detector.ts'

/** Money and shops. */
export const payments: readonly Detector[] = [
  prefixed({
    rule: 'stripe-secret-key',
    provider: 'stripe',
    title: 'Stripe secret key',
    keywords: ['sk_live_', 'rk_live_'],
    pattern: /[sr]k_live_[A-Za-z0-9]{16,120}/,
    reach: { after: 140 },
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'stripe-test-key',
    provider: 'stripe',
    title: 'Stripe test mode secret key',
    confidence: 'medium',
    keywords: ['sk_test_', 'rk_test_'],
    pattern: /[sr]k_test_[A-Za-z0-9]{16,120}/,
    reach: { after: 140 },
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'stripe-webhook-secret',
    provider: 'stripe',
    title: 'Stripe webhook signing secret',
    keywords: ['whsec_'],
    pattern: /whsec_[A-Za-z0-9+/]{24,80}={0,2}/,
    judge: judgeEntropy(3),
  }),
  prefixed({
    rule: 'shopify-token',
    provider: 'shopify',
    title: 'Shopify access token or shared secret',
    keywords: ['shpat_', 'shpca_', 'shppa_', 'shpss_', 'shpua_'],
    pattern: /shp(?:at|ca|pa|ss|ua)_[0-9a-fA-F]{32}/,
  }),
  prefixed({
    rule: 'square-token',
    provider: 'square',
    title: 'Square access token or secret',
    keywords: ['EAAA', 'sq0atp-', 'sq0csp-'],
    pattern: /EAAA[A-Za-z0-9_-]{60}|sq0(?:atp-[A-Za-z0-9_-]{22}|csp-[A-Za-z0-9_-]{43})/,
  }),
  prefixed({
    rule: 'braintree-access-token',
    provider: 'paypal',
    title: 'PayPal Braintree access token',
    keywords: ['access_token$'],
    pattern: /access_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}/,
  }),
  {
    rule: 'paypal-client-secret',
    provider: 'paypal',
    title: 'PayPal client secret',
    confidence: 'high',
    keywords: ['paypal'],
    pattern:
      /paypal[\w.-]{0,30}secret["'\]]{0,2}[ \t]{0,5}[=:][ \t]{0,5}["']?(?<value>E[A-Za-z0-9_-]{79})(?![\w-])/i,
    reach: { after: 160 },
  },
  prefixed({
    rule: 'razorpay-key',
    provider: 'razorpay',
    title: 'Razorpay key id',
    confidence: 'medium',
    keywords: ['rzp_live_'],
    pattern: /rzp_live_[A-Za-z0-9]{14}/,
  }),
  prefixed({
    rule: 'adyen-api-key',
    provider: 'adyen',
    title: 'Adyen API key',
    keywords: ['AQE'],
    pattern: /AQE[a-z][A-Za-z0-9+/]{60,240}={0,2}-[A-Za-z0-9+/]{40,60}={0,2}-[^\s"'<>\\]{12,20}/,
    reach: { after: 360 },
  }),
  prefixed({
    rule: 'flutterwave-secret-key',
    provider: 'flutterwave',
    title: 'Flutterwave secret key',
    keywords: ['FLWSECK'],
    pattern: /FLWSECK(?:_TEST)?-[0-9a-zA-Z]{12,40}-X/,
  }),
  prefixed({
    rule: 'plaid-token',
    provider: 'plaid',
    title: 'Plaid access token',
    keywords: ['access-production-', 'access-sandbox-', 'access-development-'],
    pattern:
      /access-(?:production|development|sandbox)-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/,
  }),
]
