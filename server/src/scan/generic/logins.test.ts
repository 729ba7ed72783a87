import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createDraws } from '../../../test/support/draws.ts'
import { createEngine } from '../engine.ts'
import { logins } from './logins.ts'

const engine = createEngine({ detectors: logins, fingerprintKey: Buffer.alloc(32, 3) })
const password = `Maple${1000 + createDraws('logins').below(9000)}!vio`

const found = (file: string, text: string): string[] =>
  engine.detect({ bytes: Buffer.from(text), file }).map(({ value }) => value.reveal())

const placed: [string, string][] = [
  ['a.sql', `create user shop identified by '${password}';`],
  ['a.sql', `CREATE USER 'shop'@'%' IDENTIFIED WITH mysql_native_password BY '${password}';`],
  ['a.sh', `mysqldump -h db -ushop -p${password} shop > dump.sql`],
  ['a.sh', `mysql -u shop -p'${password}' shop`],
  ['a.sh', `sshpass -p ${password} ssh shop@db`],
  ['a.sh', `redis-cli -h cache -a ${password} ping`],
  ['a.sh', `ldapsearch -x -D cn=admin -w ${password} -b dc=shop`],
  ['a.sh', `mongosh --username shop --password ${password} shop`],
  ['a.sh', `registry sign-in -u shop -p "${password}" registry.internal`],
  ['a.sh', `echo "shop:${password}" | sudo chpasswd`],
  ['a.sh', `htpasswd -bc /etc/nginx/users shop ${password}`],
  ['a.bat', `net user shop ${password} /add`],
  ['a.sh', `rabbitmqctl add_user shop ${password}`],
  ['a.sh', `openssl rsa -in a.key -passin pass:${password}`],
  ['a.sh', `keytool -list -keystore a.jks -storepass ${password}`],
  ['A.java', `String url = "jdbc:mysql://db/shop?user=shop&password=${password}&useSSL=true";`],
  ['A.java', `String url = "jdbc:oracle:thin:shop/${password}@db:1521:shop";`],
  ['A.cs', `Credentials = new NetworkCredential("shop", "${password}");`],
  ['A.java', `DriverManager.getConnection(url, "shop", "${password}");`],
  ['a.py', `requests.get(url, auth=('shop', '${password}'))`],
  ['a.py', `smtp.login("shop", "${password}")`],
  ['a.go', `auth := smtp.PlainAuth("", "shop", "${password}", host)`],
  ['a.php', `$db = new PDO('mysql:host=db;dbname=shop', 'shop', '${password}');`],
  ['a.php', `$db = mysqli_connect("db", "shop", "${password}", "shop");`],
  ['a.ino', `WiFi.begin("home", "${password}");`],
  ['a.pl', `my $db = DBI->connect('dbi:mysql:shop', 'shop', '${password}');`],
  ['a.sbt', `credentials += Credentials("Realm", "repo.internal", "shop", "${password}")`],
  ['a.ps1', `New-Object PSCredential("shop", (ConvertTo-SecureString "${password}" -AsPlainText))`],
  ['a.php', `curl_setopt($ch, CURLOPT_USERPWD, "shop:${password}");`],
  ['a.bat', `net use z: \\\\files\\shop /user:shop ${password}`],
  ['a.sh', `openssl enc -aes-256-cbc -k ${password} -in a`],
  ['a.sh', `unzip -P ${password} a.zip`],
  ['a.sh', `7z x -p${password} a.7z`],
  ['a.sh', `echo "${password}" | sudo -S id`],
  ['redis.conf', `requirepass ${password}`],
  ['a.go', `dsn := "shop:${password}@tcp(db:3306)/shop?parseTime=true"`],
  ['a.txt', `login: shop / ${password}`],
  ['a.js', `jwt.sign(payload, '${password}')`],
  ['a.js', `crypto.createHmac('sha256', '${password}')`],
  ['a.py', `hmac.new(b"${password}", message, hashlib.sha256)`],
  ['A.java', `new SecretKeySpec("${password}".getBytes(), "AES")`],
  ['A.java', `Algorithm.HMAC256("${password}")`],
  ['a.go', `store = sessions.NewCookieStore([]byte("${password}"))`],
]
for (const [file, text] of placed) {
  test(`DISC-2: a password by its place: ${text.replace(password, '…')}`, () => {
    assert.deepEqual(found(file, text), [password])
  })
}

const harmless: [string, string][] = [
  ['a.sql', "alter user shop identified by 'changeme';"],
  ['a.sh', 'mysql -u shop -p shop < dump.sql'],
  ['a.sh', 'mysql -u shop -p"$DB_PASSWORD" shop'],
  ['a.sh', 'mysqldump --port=3306 -h db -P 3306 shop-production'],
  ['a.sh', 'docker run -u 1000 -p 8080:80 shop'],
  ['a.sh', 'sshpass -f /run/secrets/ssh ssh shop@db'],
  ['a.sh', 'redis-cli -a "$REDIS_PASSWORD" ping'],
  ['a.sh', 'openssl rsa -in a.key -passin env:KEY_PASS9'],
  ['a.py', 'smtp.login(user, password)'],
  ['a.py', 'requests.get(url, auth=("user", "password"))'],
  ['a.cs', 'new NetworkCredential("shop", config["Password"])'],
  ['a.ts', "connect('click', 'onPasswordInput')"],
  ['a.js', "jwt.verify(token, 'public.pem')"],
  ['a.js', "jwt.sign(payload, 'your-secret-key')"],
  ['a.js', "crypto.createHmac('sha256', process.env.KEY9)"],
  ['a.sh', 'unzip -o a.zip -d /tmp/shop2'],
  ['a.sh', 'echo "$PASSWORD" | sudo -S id'],
  ['a.txt', 'login: see /docs/accounts2'],
  ['a.ino', 'WiFi.begin(ssid, wifiPassword9)'],
]
for (const [file, text] of harmless) {
  test(`DISC-2: no password: ${text}`, () => assert.deepEqual(found(file, text), []))
}
