import type { Detector } from '../detector.ts'
import { judgeAlone, judgeKeyAlone } from './judge.ts'

type Login = Pick<Detector, 'rule' | 'title' | 'keywords' | 'pattern' | 'judge'> & { readonly reach: number }

/** A value that its place makes a password: there is no key whose name could say so. */
const login = ({ reach, ...parts }: Login): Detector => ({
  provider: 'generic',
  confidence: 'medium',
  reach: { before: reach, after: reach },
  rank: 2,
  judge: judgeAlone,
  ...parts,
})

/** Passwords in commands, statements and calls that take them by position or by a short option. */
export const logins: readonly Detector[] = [
  login({
    rule: 'sql-password',
    title: 'Password in an SQL statement',
    keywords: ['identified'],
    pattern:
      /identified\s{1,4}(?:with\s{1,4}['"\w]{1,40}\s{1,4})?(?:by|as)\s{1,4}(?:password\s{1,4})?['"](?<value>[^'"\r\n]{4,128})(?=['"])/i,
    reach: 240,
  }),
  login({
    rule: 'client-password',
    title: 'Password in the command of a database client',
    keywords: ['mysql', 'mariadb'],
    pattern:
      /\b(?:mysql|mariadb)(?:dump|admin|import|show|check|-dump|-admin)?(?=[ \t])[^\r\n|;&]{0,160}?[ \t]-p["']?(?<value>[^\s"'$<|;&=-][^\s"'|;&]{3,100})/,
    reach: 300,
  }),
  login({
    rule: 'client-password',
    title: 'Password in a command',
    keywords: ['sshpass', 'redis-cli', 'ldapsearch', 'ldapmodify', 'ldapadd', 'sqlcmd', 'smbclient'],
    pattern:
      /\b(?:sshpass[^\r\n|;&]{0,60}?[ \t]-p|redis-cli[^\r\n|;&]{0,120}?[ \t](?:-a|--pass)|ldap(?:search|modify|add)[^\r\n|;&]{0,160}?[ \t]-w|sqlcmd[^\r\n|;&]{0,120}?[ \t]-P|smbclient[^\r\n|;&]{0,120}?[ \t]-U[ \t]{0,2}["']?[\w.\\-]{1,40}%)[ \t]{0,2}["']?(?<value>[^\s"'$<|;&-][^\s"'|;&]{3,100})/,
    reach: 300,
  }),
  login({
    rule: 'user-and-password',
    title: 'Password in a command, after the user',
    keywords: [' -u ', ' -u=', ' --user ', ' --user=', ' --username ', ' --username='],
    pattern:
      /[ \t](?:-u|--user(?:name)?)[ \t=]["']?[\w.@$\\-]{1,64}["']?[ \t]{1,4}(?:[^\s|;&]{1,60}[ \t]{1,4}){0,4}(?:-p|-w|--password)[ \t=]["']?(?<value>[^\s"'$<|;&-][^\s"'|;&]{3,100})/,
    reach: 320,
  }),
  login({
    rule: 'account-password',
    title: 'Password that a command sets',
    keywords: [
      'chpasswd',
      'htpasswd',
      'net user ',
      'rabbitmqctl ',
      '-passin',
      '-passout',
      'storepass',
      'keypass',
    ],
    pattern:
      /(?:echo[ \t]{1,3}["']?[\w.-]{1,32}:(?=[^\r\n]{1,160}\bchpasswd)|htpasswd[ \t]{1,3}-[A-Za-z]{0,6}b[A-Za-z]{0,6}[ \t]{1,3}(?:[^\s"']{1,120}[ \t]{1,3})?[\w.-]{1,64}[ \t]{1,3}["']?|net user[ \t]{1,3}[^\s]{1,40}[ \t]{1,3}["']?|rabbitmqctl[ \t]{1,3}(?:add_user|change_password)[ \t]{1,3}[^\s]{1,40}[ \t]{1,3}["']?|-pass(?:in|out)[ \t]{1,3}pass:|-(?:src|dest)?(?:storepass|keypass)[ \t]{1,3}["']?)(?<value>[^\s"'$<|;&/*-][^\s"'|;&]{3,100})/i,
    reach: 300,
  }),
  login({
    rule: 'jdbc-password',
    title: 'Password in a JDBC address',
    keywords: ['jdbc:'],
    pattern:
      /jdbc:(?:oracle:thin:[\w.-]{1,64}\/(?=[^\s@"']{1,100}@)|[a-z0-9]{2,20}:[^\s"'<>`]{1,300}?[?&;:](?:password|pwd)=)(?<value>[^\s"'<>`&;@{}$][^\s"'<>`&;@{}]{3,100})/i,
    reach: 480,
  }),
  login({
    rule: 'positional-password',
    title: 'Password as the second argument of a login',
    keywords: [
      'credential',
      'login(',
      'basicauth',
      'basic_auth',
      'passwordauthentication',
      'plainauth(',
      'getconnection(',
      'connect(',
      'new pdo(',
      'new mysqli(',
      'auth=(',
      'auth = (',
      "auth=['",
      'auth: [',
    ],
    pattern:
      /(?:(?:(?:Network|UsernamePassword|Basic(?:AWS|Auth)?)Credentials?|\.login|(?:HTTP|Set|with)?_?Basic_?Auth|Credentials\.basic|PasswordAuthentication|(?:ftp|imap)_login|auth[ \t]{0,2}[=:][ \t]{0,2})[([]|(?:PlainAuth|getConnection|(?:mysqli?|oci|ldap|odbc)_p?connect|new (?:PDO|mysqli))\([ \t]{0,4}(?:[\w.$>-]{1,60}|"[^"\r\n]{0,120}"|'[^'\r\n]{0,120}'),)[ \t]{0,4}(?:["'][^"'\r\n]{1,64}["']|\$?\w{1,40}),[ \t]{0,4}["'](?<value>[^"'\r\n\s]{4,100})(?=["'][ \t]{0,4}[,)\].])/i,
    reach: 420,
  }),
  login({
    rule: 'positional-password',
    title: 'Password as the last argument of a login',
    keywords: ['wifi.begin(', 'dbi->connect(', 'credentials(', 'pscredential(', 'curlopt_userpwd', '/user:'],
    pattern:
      /(?:WiFi\.begin\([ \t]{0,3}(?:"[^"\r\n]{1,64}"|\w{1,40}),[ \t]{0,3}"|DBI->connect\([^\r\n;]{4,160}?,[ \t]{0,3}["'][^"'\r\n]{1,64}["'],[ \t]{0,3}["']|[^\w]Credentials\((?:[ \t]{0,3}"[^"\r\n]{1,80}",){3}[ \t]{0,3}"|PSCredential[ \t]{0,2}\([ \t]{0,3}["'$][\w@.\\-]{1,64}["']?,[ \t]{0,3}\(ConvertTo-SecureString[ \t]{1,3}(?:-String[ \t]{1,3})?["']|CURLOPT_USERPWD,[ \t]{0,3}["'][^"':\r\n]{1,64}:|\/user:[\w.\\@-]{1,64}[ \t]{1,3}["']?)(?<value>[^"'$\s/<][^"'\r\n\s]{3,100})/i,
    reach: 320,
  }),
  login({
    rule: 'client-password',
    title: 'Password in a command',
    keywords: [
      'openssl enc',
      'openssl aes',
      'zip -',
      '7z ',
      '7za ',
      '--requirepass',
      'requirepass ',
      'sudo -s',
      'masterauth ',
    ],
    pattern:
      /(?:openssl[ \t]{1,3}(?:enc|aes)[^\r\n|;&]{0,160}?[ \t]-k[ \t]{1,3}|\b(?:un)?zip[ \t][^\r\n|;&]{0,80}?-[a-z]{0,4}P[ \t]{1,3}|\b7za?[ \t][^\r\n|;&]{0,80}?[ \t]-p|(?:requirepass|masterauth)[ \t]{1,3}|echo[ \t]{1,3}(?=[^\r\n|]{4,100}\|[ \t]{0,3}sudo[ \t]{1,3}-S))["']?(?<value>[^\s"'$<|;&-][^\s"'|;&]{3,100})/,
    reach: 240,
  }),
  login({
    rule: 'database-password',
    title: 'Password in the address of a database, as Go writes it',
    keywords: ['@tcp(', '@unix(', '@protocol('],
    pattern: /["'`\s=][\w.-]{1,64}:(?<value>[^\s"'`@:/{}$%][^\s"'`@/{}]{3,100})(?=@(?:tcp|unix|protocol)\()/,
    reach: 180,
  }),
  login({
    rule: 'told-login',
    title: 'User and password in a text',
    keywords: ['credentials:', 'creds:', 'login:', 'credentials are', 'log in with', 'login with'],
    pattern:
      /(?:credentials|creds|login)(?::|[ \t]are|[ \t]with)[ \t]{1,3}["'`]?[\w.@+-]{2,64}["'`]?[ \t]{0,2}[/:][ \t]{0,2}["'`]?(?<value>[^\s"'`/:,][^\s"'`]{5,64})/i,
    reach: 160,
  }),
  login({
    rule: 'signing-key',
    title: 'Key that a program signs or encrypts with',
    keywords: [
      'jwt.',
      'hmac',
      'createcipher',
      'createdecipher',
      'secretkeyspec(',
      'signwith(',
      'signingkey(',
      'fernet(',
      'cookiestore(',
      'cookieparser(',
    ],
    pattern:
      /(?:jwt\.(?:sign|verify|encode|decode)\([^\r\n"'`]{1,80},|(?:createHmac|hash_hmac|create(?:De|C)ipher(?:iv)?)\([ \t]{0,3}["'][\w-]{2,20}["'],(?:[ \t]{0,3}\$\w{1,30},)?|hmac\.new\(|HMAC(?:256|384|512)\(|SecretKeySpec\(|signWith\([ \t]{0,3}[\w.]{4,40},|SigningKey\(|Fernet\(|CookieStore\(|cookieParser\()[ \t]{0,3}(?:\[\]byte\(|Buffer\.from\()?b?["'`](?<value>[^"'`\r\n\s]{8,200})(?=["'`])/i,
    reach: 320,
    judge: judgeKeyAlone,
  }),
]
