"""A company's domain out of an e-mail address; free-mail and disposable hosts name no company (R20)."""

from functools import lru_cache

from tldextract import TLDExtract

# `suffix_list_urls=()`: the list inside the package, never the network (requirement I34).
# Private suffixes count: two tenants of one host are two companies.
_extract = TLDExtract(suffix_list_urls=(), cache_dir=None, include_psl_private_domains=True)

_FREE_MAIL = (
    # World and English-speaking countries.
    """
    gmail.com googlemail.com yahoo.com ymail.com rocketmail.com myyahoo.com hotmail.com outlook.com live.com
    msn.com passport.com aol.com aim.com icloud.com me.com mac.com proton.me protonmail.com protonmail.ch pm.me
    zoho.com zohomail.com zohomail.eu mail.com email.com usa.com gmx.com gmx.net gmx.us inbox.com fastmail.com
    fastmail.fm hushmail.com hey.com tutanota.com tutamail.com tuta.io tuta.com lycos.com excite.com yandex.com
    duck.com mailbox.org posteo.net runbox.com startmail.com disroot.org riseup.net
    comcast.net verizon.net att.net sbcglobal.net bellsouth.net cox.net charter.net earthlink.net juno.com
    netzero.net optonline.net roadrunner.com rr.com frontier.com windstream.net q.com centurylink.net
    rogers.com bell.net shaw.ca sympatico.ca telus.net videotron.ca yahoo.ca hotmail.ca live.ca outlook.ca
    yahoo.co.uk hotmail.co.uk live.co.uk outlook.co.uk btinternet.com btopenworld.com sky.com virginmedia.com
    ntlworld.com talktalk.net blueyonder.co.uk tiscali.co.uk aol.co.uk googlemail.co.uk
    bigpond.com bigpond.net.au optusnet.com.au yahoo.com.au hotmail.com.au outlook.com.au iinet.net.au xtra.co.nz
    eircom.net yahoo.ie
    """
    # German-speaking countries.
    """
    gmx.de gmx.at gmx.ch gmx.li gmx.info gmx.eu web.de t-online.de freenet.de arcor.de yahoo.de ymail.de
    hotmail.de live.de outlook.de googlemail.de aol.de posteo.de mail.de email.de online.de onlinehome.de
    vodafone.de vodafonemail.de kabelmail.de unitybox.de unity-mail.de netcologne.de ewe.net ewetel.net osnanet.de
    alice-dsl.net alice.de versanet.de gmx.org magenta.de 1und1.de tutanota.de t-mobile.de o2mail.de o2online.de
    aon.at chello.at a1.net inode.at liwest.at utanet.at kabsi.at hotmail.at live.at outlook.at yahoo.at
    bluewin.ch sunrise.ch hispeed.ch swissonline.ch bluemail.ch hotmail.ch yahoo.ch outlook.ch
    """
    # Poland and its neighbours.
    """
    wp.pl o2.pl onet.pl onet.eu op.pl interia.pl interia.eu poczta.onet.pl poczta.fm gazeta.pl tlen.pl vp.pl
    buziaczek.pl autograf.pl go2.pl neostrada.pl orange.pl spoko.pl amorki.pl onet.com.pl interia.com poczta.pl
    int.pl pro.wp.pl tenbit.pl yahoo.pl hotmail.pl outlook.pl live.pl aol.pl upcpoczta.pl vectranet.pl
    seznam.cz email.cz centrum.cz atlas.cz volny.cz post.cz centrum.sk azet.sk zoznam.sk post.sk
    freemail.hu citromail.hu t-online.hu mail.ru inbox.ru bk.ru list.ru yandex.ru rambler.ru ukr.net i.ua meta.ua
    abv.bg mail.bg inbox.lv inbox.lt one.lt mail.ee hot.ee
    """
    # The rest of Europe, South America, Asia.
    """
    orange.fr wanadoo.fr free.fr sfr.fr laposte.net neuf.fr bbox.fr hotmail.fr live.fr yahoo.fr outlook.fr
    numericable.fr aliceadsl.fr club-internet.fr gmx.fr
    libero.it virgilio.it alice.it tin.it tiscali.it hotmail.it live.it yahoo.it outlook.it fastwebnet.it
    email.it inwind.it iol.it tim.it pec.it
    hotmail.es yahoo.es outlook.es telefonica.net terra.es movistar.es ono.com
    ziggo.nl kpnmail.nl planet.nl home.nl xs4all.nl hetnet.nl live.nl hotmail.nl outlook.nl upcmail.nl
    telenet.be skynet.be proximus.be scarlet.be hotmail.be live.be outlook.be
    telia.com hotmail.se live.se outlook.se bredband.net spray.se comhem.se yahoo.se
    hotmail.dk live.dk outlook.dk mail.dk stofanet.dk online.no hotmail.no live.no outlook.no
    luukku.com kolumbus.fi hotmail.fi suomi24.fi sapo.pt hotmail.pt mail.pt
    hotmail.gr yahoo.gr otenet.gr hotmail.com.tr yahoo.ro
    uol.com.br bol.com.br terra.com.br ig.com.br globo.com hotmail.com.br yahoo.com.br outlook.com.br
    yahoo.com.mx hotmail.com.mx prodigy.net.mx live.com.mx yahoo.com.ar hotmail.com.ar live.com.ar
    qq.com 163.com 126.com sina.com sohu.com foxmail.com yeah.net aliyun.com 139.com
    naver.com daum.net hanmail.net nate.com yahoo.co.jp docomo.ne.jp ezweb.ne.jp softbank.ne.jp
    yahoo.co.in rediffmail.com yahoo.in indiatimes.com hotmail.co.il walla.com walla.co.il yahoo.com.sg
    """
    # Addresses that live for minutes.
    """
    mailinator.com guerrillamail.com 10minutemail.com tempmail.com temp-mail.org yopmail.com trashmail.com
    trash-mail.com wegwerfmail.de byom.de spambog.com sharklasers.com getnada.com maildrop.cc dispostable.com
    """
)
_FREE = frozenset(_FREE_MAIL.split())


def is_free_mail(domain: str) -> bool:
    """Tell whether anybody can have an address at this domain."""
    return domain.lower() in _FREE


@lru_cache(maxsize=8192)
def company_domain(host: str) -> str:
    """Return the registrable domain of a mail host; empty for free-mail and for a public suffix itself."""
    if host in _FREE:
        return ""
    found = _extract(host)
    if not found.suffix:
        # A suffix the list does not know, as in an intranet: the last two labels are the best guess.
        return ".".join(host.split(".")[-2:])
    domain = found.top_domain_under_public_suffix
    return "" if domain in _FREE else domain
